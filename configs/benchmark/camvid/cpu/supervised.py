# The ceiling: the same backbone and decoder trained end to end with labels, on as many images as the pretraining sees
_base_ = [
    '../../../_base_/models/r18_light-fpn_scratch.py',
    '../../../_base_/datasets/camvid_96x128.py',
    '../../../_base_/schedules/adamw.py',
    '../../../_base_/default_runtime.py',
]
model = dict(
    type='ProbeSegmentor',
    frozen=(),
    decoder=dict(embed_dims=64),
    decode_head=dict(type='LinearProbeHead', num_classes=11, num_filters=256),
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(128, 96), ratio_range=(0.75, 1.75), keep_ratio=True, interpolation='area'),
    dict(type='RandomCrop', crop_size=(72, 96)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_iters=1000, val_interval=1000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(checkpoint=dict(interval=250, max_keep_ckpts=1))
auto_scale_lr = dict(base_batch_size=4)
