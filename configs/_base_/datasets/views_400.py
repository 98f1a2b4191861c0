# The paper's high resolution: whole images, 5 views of 400x400, superpixels of 20 px
_base_ = './views_256.py'
train_pipeline = [
    {**step, 'view_size': 400} if step['type'] == 'ContextualViewCrop' else step
    for step in _base_.train_pipeline
    if step['type'] not in ('ResizeShortestEdge', 'CenterCrop')
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
