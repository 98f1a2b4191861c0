# The cluster probe of an encoder on CamVid at 240x320: 64 clusters, fitted in one pass
_base_ = ['../datasets/camvid_240x320.py', './cluster_probe.py', '../default_runtime.py']
train_cfg = dict(max_samples=100_000)
train_dataloader = dict(
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(pipeline=_base_.fit_pipeline),
)
default_hooks = dict(checkpoint=dict(by_epoch=True, interval=1))
