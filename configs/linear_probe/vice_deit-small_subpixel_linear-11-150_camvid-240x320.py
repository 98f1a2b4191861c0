_base_ = [
    '../_base_/models/deit-small_subpixel.py',
    '../_base_/datasets/camvid_240x320.py',
    '../_base_/schedules/linear_probe.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ProbeSegmentor',
    embedder_checkpoint='work_dirs/vice_deit-small_subpixel_adamw-800_camvid-192x192_frozen/iter_800.pth',
    decode_head=dict(type='LinearProbeHead', num_classes=11, num_filters=11, whiten=True),
)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=0.02, weight_decay=1e-4))
train_cfg = dict(max_iters=150, val_interval=150)
auto_scale_lr = dict(base_batch_size=8)
