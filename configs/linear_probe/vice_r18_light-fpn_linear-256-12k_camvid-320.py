# The paper's linear probe: 256 filters, 12k steps
_base_ = [
    '../_base_/models/r18_light-fpn.py',
    '../_base_/datasets/camvid_320.py',
    '../_base_/schedules/linear_probe.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ProbeSegmentor',
    embedder_checkpoint='work_dirs/vice_r18_light-fpn_lars-10k_camvid-256x256/iter_10000.pth',
    decode_head=dict(type='LinearProbeHead', num_classes=11, num_filters=256),
)
