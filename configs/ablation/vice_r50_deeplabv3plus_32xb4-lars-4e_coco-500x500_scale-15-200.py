# Table 5: a wider range of scales
_base_ = './vice_r50_deeplabv3plus_32xb4-lars-4e_coco-500x500.py'
train_pipeline = [
    {**step, 'scale_range': (0.15, 2.0)} if step['type'] == 'ContextualViewCrop' else step
    for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
