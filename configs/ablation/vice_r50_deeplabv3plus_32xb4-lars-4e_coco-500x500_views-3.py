# Table 5: 3 views
_base_ = './vice_r50_deeplabv3plus_32xb4-lars-4e_coco-500x500.py'
train_pipeline = [
    {**step, 'num_views': 3} if step['type'] == 'ContextualViewCrop' else step for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
