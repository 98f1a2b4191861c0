# Table 1 and 2
_base_ = [
    '../_base_/models/r18_light-fpn.py',
    '../_base_/datasets/cityscapes_320.py',
    '../_base_/schedules/linear_probe.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ProbeSegmentor',
    embedder_checkpoint='work_dirs/vice_r18_light-fpn_32xb4-lars-24e_cityscapes-256x256_slic-10',
    decode_head=dict(type='LinearProbeHead', num_classes=19, num_filters=256),
)
