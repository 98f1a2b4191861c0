# DeiT-S/16 as it is, without a decoder
_base_ = './vice_deit-small_subpixel_cluster-64_camvid-240x320.py'
model = dict(
    embedder_checkpoint=None,
    pretrained='checkpoints/deit_small_patch16_224-cd65a155.pth',
    decoder=dict(_delete_=True, type='HypercolumnDecoder'),
)
