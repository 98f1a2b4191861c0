# Table 5: views of 400x400
_base_ = './vice_r50_deeplabv3plus_32xb4-lars-4e_coco-500x500.py'
train_pipeline = [
    {**step, 'view_size': 400} if step['type'] == 'ContextualViewCrop' else step for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
