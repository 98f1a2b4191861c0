# The linear probe: D -> L filters with batch norm -> classes, here L = classes. With whitening a twentieth of the
# paper's steps suffices
_base_ = [
    '../../../_base_/models/r18_light-fpn_scratch.py',
    '../../../_base_/datasets/camvid_320.py',
    '../../../_base_/schedules/linear_probe.py',
    '../../../_base_/default_runtime.py',
]
model = dict(
    type='ProbeSegmentor',
    decode_head=dict(type='LinearProbeHead', num_classes=11, num_filters=11, whiten=True),
)
# As at the CPU size: no distorted colours
train_pipeline = [step for step in _base_.train_pipeline if step['type'] != 'PhotoMetricDistortion']
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=0.02, weight_decay=1e-4))
train_cfg = dict(max_iters=600, val_interval=600)
