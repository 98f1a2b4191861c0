# EfficientNet-Lite0 learns too, at 0.4 of the decoder's rate
_base_ = './vice_efficientnet-lite0_light-fpn_adamw-800_camvid-192x192_frozen.py'
model = dict(frozen=())
optim_wrapper = dict(optimizer=dict(lr=5e-4), paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.4))))
train_cfg = dict(max_iters=500, val_interval=500)
