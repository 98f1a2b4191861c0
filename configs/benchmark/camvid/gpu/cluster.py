# The cluster probe: k-means of unit embeddings of the training images, then a class for each cluster, here C = classes
_base_ = [
    '../../../_base_/models/r18_light-fpn_scratch.py',
    '../../../_base_/datasets/camvid_320.py',
    '../../../_base_/schedules/cluster_probe.py',
    '../../../_base_/default_runtime.py',
]
model = dict(type='ProbeSegmentor', decode_head=dict(type='ClusterProbeHead', num_classes=11, num_clusters=11))
train_dataloader = dict(
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(pipeline=_base_.fit_pipeline),
)
default_hooks = dict(checkpoint=dict(by_epoch=True, interval=1))
