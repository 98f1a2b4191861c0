# Sec. 3.2: without contextual invariance, all views of an image are one and the same box
_base_ = './vice_r18_light-fpn_adamw-500_camvid-64x64.py'
train_pipeline = [
    {**step, 'contextual': False} if step['type'] == 'ContextualViewCrop' else step for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
