# Table 6: D = 256, K = 256
_base_ = './vice_r50_deeplabv3plus_32xb4-lars-4e_coco-400x400.py'
model = dict(decoder=dict(embed_dims=256), head=dict(num_concepts=256))
