# Table 4: regions from a grid in place of superpixels
_base_ = './vice_r18_deeplabv3plus_adamw-500_camvid-64x64.py'
train_pipeline = [
    dict(type='SuperpixelGrid', region_size=6) if step['type'] == 'SuperpixelSLIC' else step
    for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
