# Table 2: every pixel its own region
_base_ = '../vice/vice_r18_light-fpn_adamw-2k_camvid-64x64.py'
train_pipeline = _base_.train_pipeline
train_pipeline[2] = dict(type='SuperpixelGrid', region_size=1)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
