# ViCE with superpixels at the paper's low resolution, from random weights: images of 320x320, 5 views of 256x256,
# D = K = 128; 109 epochs of the 367 images. Optimizer and colours are those that were found at the CPU size
_base_ = [
    '../../../_base_/models/r18_light-fpn_scratch.py',
    '../../../_base_/datasets/camvid_views_256.py',
    '../../../_base_/schedules/adamw.py',
    '../../../_base_/default_runtime.py',
]
# ruler and iterations are SLIC's defaults; a grid, which a row puts in its place, has none
train_pipeline = [
    dict(type='SuperpixelSLIC', region_size=20)
    if step['type'] == 'SuperpixelSLIC'
    else dict(step, strength=0.25)
    if step['type'] == 'ViewColorDistortion'
    else step
    for step in _base_.train_pipeline
]
model = dict(
    type='ViCE',
    channels_last=True,  # steps of 60 instead of 75 ms on an H200
    head=dict(
        type='DenseSwAVHead', num_concepts=128, queue_length=5000, queue_start_iter=500, freeze_concepts_iters=250
    ),
)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_iters=2500, val_interval=2500)
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=1))
auto_scale_lr = dict(base_batch_size=16)
