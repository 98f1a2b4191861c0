# Table 2: without contextual invariance, all views of an image are one and the same box
_base_ = '../vice/vice_r18_light-fpn_adamw-2k_camvid-64x64.py'
train_pipeline = _base_.train_pipeline
train_pipeline[3].contextual = False
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
