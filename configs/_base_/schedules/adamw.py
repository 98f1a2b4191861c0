# AdamW with warm-up and cosine decay: learns better than LARS from scratch on little data
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-4))
param_scheduler = [dict(type='WarmupCosineLR', by_epoch=False, warmup_ratio=0.1, start_factor=0.01, end_factor=0.001)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2000, val_interval=2000)
auto_scale_lr = dict(enable=False, base_batch_size=8)
