_base_ = [
    '../_base_/models/r18-w32_light-fpn.py',
    '../_base_/datasets/synthetic_96x128.py',
    '../_base_/schedules/linear_probe.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ProbeSegmentor',
    embedder_checkpoint='work_dirs/vice_r18-w32_light-fpn_adamw-400_synthetic-64x64/iter_400.pth',
    decoder=dict(embed_dims=64),
    decode_head=dict(type='LinearProbeHead', num_classes=8, num_filters=64),
)
train_dataloader = dict(batch_size=8)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=0.02, weight_decay=1e-4))
train_cfg = dict(max_iters=200, val_interval=200)
auto_scale_lr = dict(base_batch_size=8)
