# A short run, the base of the ablations on CamVid: Table 2 and 4 at a size for one CPU core
_base_ = '../vice/vice_r18_light-fpn_adamw-2k_camvid-64x64.py'
train_cfg = dict(max_iters=500, val_interval=500)
param_scheduler = [dict(type='WarmupCosineLR', by_epoch=False, warmup_ratio=0.4, start_factor=0.01, end_factor=0.001)]
