# Fig. 4: a grid of 20 px
_base_ = './vice_r50_deeplabv3plus_32xb4-lars-4e_coco-400x400.py'
train_pipeline = [
    dict(type='SuperpixelGrid', region_size=20) if step['type'] == 'SuperpixelSLIC' else step
    for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
