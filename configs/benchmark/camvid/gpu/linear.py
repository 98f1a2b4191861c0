# The linear probe of the paper, here with L = classes
_base_ = [
    '../../../_base_/models/r18_light-fpn_scratch.py',
    '../../../_base_/datasets/camvid_320.py',
    '../../../_base_/schedules/linear_probe.py',
    '../../../_base_/default_runtime.py',
]
model = dict(type='ProbeSegmentor', decode_head=dict(type='LinearProbeHead', num_classes=11, num_filters=11))
