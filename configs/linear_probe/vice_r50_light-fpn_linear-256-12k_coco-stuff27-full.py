# Table 7 and 8
_base_ = [
    '../_base_/models/r50_light-fpn.py',
    '../_base_/datasets/coco-stuff27_full.py',
    '../_base_/schedules/linear_probe.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ProbeSegmentor',
    embedder_checkpoint='work_dirs/vice_r50_light-fpn_32xb4-lars-4e_coco-256x256',
    decode_head=dict(type='LinearProbeHead', num_classes=27, num_filters=256),
)
