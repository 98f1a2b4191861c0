_base_ = [
    '../_base_/models/r18_deeplabv3plus.py',
    '../_base_/datasets/camvid_96x128.py',
    '../_base_/schedules/linear_probe.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ProbeSegmentor',
    embedder_checkpoint='work_dirs/vice_r18_deeplabv3plus_adamw-500_camvid-64x64/iter_500.pth',
    decoder=dict(embed_dims=64),
    decode_head=dict(type='LinearProbeHead', num_classes=11, num_filters=64),
)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=0.02, weight_decay=1e-4))
train_cfg = dict(max_iters=1000, val_interval=1000)
