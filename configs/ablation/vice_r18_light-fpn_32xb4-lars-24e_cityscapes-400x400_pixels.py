# Table 4: every pixel its own region, which the paper calls intractable
_base_ = './vice_r18_light-fpn_32xb4-lars-24e_cityscapes-400x400.py'
train_pipeline = [
    dict(type='SuperpixelGrid', region_size=1) if step['type'] == 'SuperpixelSLIC' else step
    for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
