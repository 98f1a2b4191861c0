# Sec. 3: another cluster-based method in the place of SwAV, Online Deep Clustering
_base_ = './vice_r18_light-fpn_adamw-500_camvid-64x64.py'
model = dict(
    head=dict(_delete_=True, type='ODCHead', num_concepts={{_base_.model.head.num_concepts}}),
)
