# Two passes over the training images, no gradient steps. The optimizer is never used; MMEngine's Runner asks for one.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.0))
train_cfg = dict(type='ClusterFitLoop', max_samples=200_000, seed=0)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
model_wrapper_cfg = dict(type='FrozenModelWrapper')  # several processes, and no gradients between them
