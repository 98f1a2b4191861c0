# Table 5: no masks
_base_ = './vice_r50_deeplabv3plus_32xb4-lars-4e_coco-500x500.py'
train_pipeline = [
    {**step, 'max_ratio': 0} if step['type'] == 'SuperpixelMask' else step for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
