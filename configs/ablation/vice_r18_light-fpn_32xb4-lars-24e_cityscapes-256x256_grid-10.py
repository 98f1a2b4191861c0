# Table 2: a grid of 10 px in place of superpixels
_base_ = '../vice/vice_r18_light-fpn_32xb4-lars-24e_cityscapes-256x256.py'
train_pipeline = [
    dict(type='SuperpixelGrid', region_size=10) if step['type'] == 'SuperpixelSLIC' else step
    for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
