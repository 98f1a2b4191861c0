_base_ = ['./cluster.py', '../tuning_split.py']
train_dataloader = dict(dataset=dict(indices=_base_.fitted))
val_dataloader = dict(
    dataset=dict(data_prefix=_base_.train_dataloader.dataset.data_prefix, indices=_base_.held_out),
)
test_dataloader = val_dataloader
