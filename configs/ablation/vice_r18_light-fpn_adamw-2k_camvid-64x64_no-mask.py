# Table 2: without masking
_base_ = '../vice/vice_r18_light-fpn_adamw-2k_camvid-64x64.py'
train_pipeline = _base_.train_pipeline
train_pipeline[4].max_ratio = 0
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
