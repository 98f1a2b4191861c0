# The quickstart: half-width ResNet-18 on procedural scenes, minutes on two CPU cores
_base_ = [
    '../_base_/models/r18-w32_light-fpn.py',
    '../_base_/datasets/synthetic_views_64.py',
    '../_base_/schedules/adamw.py',
    '../_base_/pretrain_runtime.py',
]
model = dict(
    type='ViCE',
    decoder=dict(embed_dims=64),
    head=dict(type='DenseSwAVHead', num_concepts=64, queue_length=1500, queue_start_iter=50, freeze_concepts_iters=50),
)
param_scheduler = [dict(type='WarmupCosineLR', by_epoch=False, warmup_ratio=0.15, start_factor=0.01, end_factor=0.001)]
train_cfg = dict(max_iters=400)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=100))
