# ViCE with superpixels at the paper's low resolution, from random weights: images of 320x320, 5 views of 256x256,
# D = K = 128; 436 epochs of the 367 images
_base_ = [
    '../../../_base_/models/r18_light-fpn_scratch.py',
    '../../../_base_/datasets/camvid_views_256.py',
    '../../../_base_/schedules/lars.py',
    '../../../_base_/default_runtime.py',
]
# ruler and iterations are SLIC's defaults; a grid, which a row puts in its place, has none
train_pipeline = [
    dict(type='SuperpixelSLIC', region_size=20) if step['type'] == 'SuperpixelSLIC' else step
    for step in _base_.train_pipeline
]
model = dict(
    type='ViCE',
    head=dict(
        type='DenseSwAVHead', num_concepts=128, queue_length=5000, queue_start_iter=313, freeze_concepts_iters=313
    ),
)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=0.04))
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=10000, val_interval=10000)
default_hooks = dict(checkpoint=dict(interval=1000, max_keep_ckpts=1))
