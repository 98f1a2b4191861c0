# Table 6: D = 64, K = 64
_base_ = './vice_r50_deeplabv3plus_32xb4-lars-4e_coco-400x400.py'
model = dict(decoder=dict(embed_dims=64), head=dict(num_concepts=64))
