# The linear probe: D -> L filters with batch norm -> classes, here L = classes
_base_ = [
    '../../../_base_/models/r18_light-fpn_scratch.py',
    '../../../_base_/datasets/camvid_96x128.py',
    '../../../_base_/schedules/linear_probe.py',
    '../../../_base_/default_runtime.py',
]
model = dict(
    type='ProbeSegmentor',
    decoder=dict(embed_dims=64),
    decode_head=dict(type='LinearProbeHead', num_classes=11, num_filters=11, whiten=True),
)
# 500 steps are too few to learn not to mind distorted colours
train_pipeline = [step for step in _base_.train_pipeline if step['type'] != 'PhotoMetricDistortion']
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=0.02, weight_decay=1e-4))
train_cfg = dict(max_iters=500, val_interval=500)
