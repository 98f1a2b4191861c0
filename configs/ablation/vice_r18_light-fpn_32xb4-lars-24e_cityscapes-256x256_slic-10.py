# Table 1 and 2: superpixels of 10 px
_base_ = '../vice/vice_r18_light-fpn_32xb4-lars-24e_cityscapes-256x256.py'
train_pipeline = [
    {**step, 'region_size': 10} if step['type'] == 'SuperpixelSLIC' else step for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
