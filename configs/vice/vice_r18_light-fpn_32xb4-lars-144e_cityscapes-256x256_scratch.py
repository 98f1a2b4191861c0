# Table 1 and Fig. 7: low resolution on Cityscapes from random weights
_base_ = [
    '../_base_/models/r18_light-fpn.py',
    '../_base_/datasets/cityscapes_views_256.py',
    '../_base_/schedules/lars.py',
    '../_base_/pretrain_runtime.py',
]
model = dict(
    type='ViCE',
    head=dict(
        type='DenseSwAVHead', num_concepts=128, queue_length=5000, queue_start_iter=313, freeze_concepts_iters=313
    ),
)
train_cfg = dict(max_epochs=144)
default_hooks = dict(checkpoint=dict(interval=2000, max_keep_ckpts=-1))  # all of them, for the curve
