# Table 2 and 4: DeepLabV3+ in place of the light FPN
_base_ = [
    '../_base_/models/r18_deeplabv3plus.py',
    '../_base_/datasets/camvid_views_64.py',
    '../_base_/schedules/adamw.py',
    '../_base_/pretrain_runtime.py',
]
model = dict(
    type='ViCE',
    decoder=dict(embed_dims=64),
    head=dict(
        type='DenseSwAVHead', num_concepts=64, queue_length=1500, queue_start_iter=100, freeze_concepts_iters=100
    ),
)
train_cfg = dict(max_iters=500, val_interval=500)
param_scheduler = [dict(type='WarmupCosineLR', by_epoch=False, warmup_ratio=0.4, start_factor=0.01, end_factor=0.001)]
