# Cityscapes at low resolution
_base_ = [
    '../_base_/models/r18_light-fpn.py',
    '../_base_/datasets/cityscapes_320.py',
    '../_base_/schedules/cluster_probe.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ProbeSegmentor',
    embedder_checkpoint='work_dirs/vice_r18_light-fpn_32xb4-lars-24e_cityscapes-256x256_slic-10',
    decode_head=dict(type='ClusterProbeHead', num_classes=19, num_clusters=256),
)
train_dataloader = dict(
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(pipeline=_base_.fit_pipeline),
)
default_hooks = dict(checkpoint=dict(by_epoch=True, interval=1))
