# Table 3
_base_ = [
    '../_base_/models/r152_deeplabv3plus.py',
    '../_base_/datasets/coco-stuff27_full.py',
    '../_base_/schedules/linear_probe.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ProbeSegmentor',
    embedder_checkpoint='work_dirs/vice_r152_deeplabv3plus_32xb4-lars-12e_coco-400x400',
    decode_head=dict(type='LinearProbeHead', num_classes=27, num_filters=256),
)
