# DenseCL of MMPretrain on the same images, as many of them, with the same backbone, and two views of 256x256
_base_ = '../cpu/densecl.py'
view_pipeline = [
    dict(step, scale=256)
    if step['type'] == 'mmpretrain.RandomResizedCrop'
    else dict(step, magnitude_range=(0.1, 2.0))
    if step['type'] == 'mmpretrain.GaussianBlur'
    else step
    for step in _base_.view_pipeline
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeShortestEdge', scale=320, max_size=100_000),
    dict(type='CenterCrop', crop_size=(320, 320)),
    dict(type='mmpretrain.MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='mmpretrain.PackInputs'),
]
train_dataloader = dict(batch_size=16, num_workers=8, pin_memory=True, dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_iters=2500, val_interval=2500)
default_hooks = dict(checkpoint=dict(interval=500))
auto_scale_lr = dict(base_batch_size=16)
