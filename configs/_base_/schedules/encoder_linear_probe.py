# The linear probe of an encoder on CamVid at 240x320: whitened, 150 steps
_base_ = ['../datasets/camvid_240x320.py', './linear_probe.py', '../default_runtime.py']
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=0.02, weight_decay=1e-4))
train_cfg = dict(max_iters=150, val_interval=150)
auto_scale_lr = dict(base_batch_size=8)
