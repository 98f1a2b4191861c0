# The paper's optimizer: LARS, linear warm-up over the first 2 % of the steps, cosine decay to a thousandth of the peak.
# The learning rate is the paper's: 0.32 for 32 GPUs of 4 images. For other totals: the configs named 8xb4, 1xb16, ...,
# or tools/train.py --auto-scale-lr
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='mmpretrain.LARS', lr=0.32, momentum=0.9, weight_decay=1e-6, eta=0.001),
)
param_scheduler = [
    dict(type='WarmupCosineLR', by_epoch=False, warmup_ratio=0.02, start_factor=0.0625, end_factor=0.001)
]
train_cfg = dict(type='EpochCountedTrainLoop', max_epochs=4)
auto_scale_lr = dict(enable=False, base_batch_size=128)
