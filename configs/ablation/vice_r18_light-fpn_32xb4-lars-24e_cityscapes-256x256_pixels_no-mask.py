# Table 2: every pixel its own region, and no masking
_base_ = './vice_r18_light-fpn_32xb4-lars-24e_cityscapes-256x256_pixels.py'
train_pipeline = [
    {**step, 'max_ratio': 0} if step['type'] == 'SuperpixelMask' else step for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
