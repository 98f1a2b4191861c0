# Table 5: D = 32
_base_ = './vice_r50_deeplabv3plus_32xb4-lars-4e_coco-500x500.py'
model = dict(decoder=dict(embed_dims=32))
