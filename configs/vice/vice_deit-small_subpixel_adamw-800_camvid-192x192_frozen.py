# ViCE over DeiT-S/16 as it is: only the decoder learns
_base_ = [
    '../_base_/models/deit-small_subpixel.py',
    '../_base_/datasets/camvid_views_192.py',
    '../_base_/schedules/adamw.py',
    '../_base_/pretrain_runtime.py',
]
model = dict(
    type='ViCE',
    pretrained='checkpoints/deit_small_patch16_224-cd65a155.pth',
    frozen=('backbone',),
    head=dict(type='DenseSwAVHead', num_concepts=64, queue_length=2000, queue_start_iter=50, freeze_concepts_iters=50),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_iters=800, val_interval=800)
auto_scale_lr = dict(base_batch_size=4)
