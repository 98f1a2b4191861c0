# Sec. 3.2: without masking
_base_ = './vice_r18_light-fpn_adamw-500_camvid-64x64.py'
train_pipeline = [
    {**step, 'max_ratio': 0} if step['type'] == 'SuperpixelMask' else step for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
