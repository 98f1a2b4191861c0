_base_ = [
    '../_base_/models/dinov3-small_subpixel.py',
    '../_base_/datasets/camvid_240x320.py',
    '../_base_/schedules/cluster_probe.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ProbeSegmentor',
    embedder_checkpoint='work_dirs/vice_dinov3-small_subpixel_adamw-800_camvid-192x192_frozen/iter_800.pth',
    decode_head=dict(type='ClusterProbeHead', num_classes=11, num_clusters=64),
)
train_cfg = dict(max_samples=100_000)
train_dataloader = dict(
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(pipeline=_base_.fit_pipeline),
)
default_hooks = dict(checkpoint=dict(by_epoch=True, interval=1))
