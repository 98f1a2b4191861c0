# ViCE with superpixels, from random weights: images of 96x128, 2 views of 96x96, D = K = 64
_base_ = [
    '../../../_base_/models/r18_light-fpn_scratch.py',
    '../../../_base_/datasets/camvid_views_96.py',
    '../../../_base_/schedules/adamw.py',
    '../../../_base_/default_runtime.py',
]
model = dict(
    type='ViCE',
    decoder=dict(embed_dims=64),
    head=dict(
        type='DenseSwAVHead', num_concepts=64, queue_length=6000, queue_start_iter=200, freeze_concepts_iters=100
    ),
)
train_cfg = dict(max_iters=1000, val_interval=1000)
default_hooks = dict(checkpoint=dict(interval=250, max_keep_ckpts=1))
auto_scale_lr = dict(base_batch_size=4)
