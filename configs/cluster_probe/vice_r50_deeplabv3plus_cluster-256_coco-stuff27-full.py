# Table 7, 8 and 13, Fig. 5, 9 and 10
_base_ = [
    '../_base_/models/r50_deeplabv3plus.py',
    '../_base_/datasets/coco-stuff27_full.py',
    '../_base_/schedules/cluster_probe.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ProbeSegmentor',
    embedder_checkpoint='work_dirs/vice_r50_deeplabv3plus_32xb4-lars-16e_coco-400x400',
    decode_head=dict(type='ClusterProbeHead', num_classes=27, num_clusters=256),
)
train_dataloader = dict(
    batch_size=1,  # images differ in size
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(pipeline=_base_.fit_pipeline),
)
default_hooks = dict(checkpoint=dict(by_epoch=True, interval=1))
