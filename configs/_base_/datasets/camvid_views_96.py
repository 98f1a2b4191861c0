# As camvid_views_64.py, with two views of 96x96, which show most of an image of 96x128, and weaker colours
_base_ = './camvid_views_64.py'
train_pipeline = [
    dict(step, num_views=2, view_size=96)
    if step['type'] == 'ContextualViewCrop'
    else dict(step, strength=0.25)
    if step['type'] == 'ViewColorDistortion'
    else step
    for step in _base_.train_pipeline
]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
