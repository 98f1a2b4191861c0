# Table 3, 5 to 8 and 13, Fig. 4, 6 to 8 and 10
_base_ = [
    '../_base_/models/r50_deeplabv3plus.py',
    '../_base_/datasets/coco-stuff27_full.py',
    '../_base_/schedules/linear_probe.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ProbeSegmentor',
    embedder_checkpoint='work_dirs/vice_r50_deeplabv3plus_32xb4-lars-16e_coco-400x400',
    decode_head=dict(type='LinearProbeHead', num_classes=27, num_filters=256),
)
