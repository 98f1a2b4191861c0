# The paper's optimizer: LARS, linear warm-up over the first 2 % of the steps, cosine decay to a thousandth of the peak.
# The learning rate is the paper's 0.32 for 128 images, scaled linearly to the 16 images of one process;
# for other batch sizes: tools/train.py --auto-scale-lr
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='mmpretrain.LARS', lr=0.04, momentum=0.9, weight_decay=1e-6, eta=0.001),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.0625, by_epoch=False, begin=0, end=200),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.001, by_epoch=False, begin=200, end=10000),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=10000, val_interval=10000)
auto_scale_lr = dict(enable=False, base_batch_size=16)
