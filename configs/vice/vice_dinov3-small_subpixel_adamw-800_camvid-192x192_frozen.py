# ViCE over DINOv3 ViT-S/16 as it is: only the decoder learns
_base_ = [
    '../_base_/models/dinov3-small_subpixel.py',
    '../_base_/datasets/camvid_views_192.py',
    '../_base_/schedules/adamw.py',
    '../_base_/pretrain_runtime.py',
]
model = dict(
    type='ViCE',
    pretrained='checkpoints/dinov3_vits16_pretrain_lvd1689m-08c60483.pth',
    frozen=('backbone',),
    head=dict(type='DenseSwAVHead', num_concepts=64, queue_length=2000, queue_start_iter=50, freeze_concepts_iters=50),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_iters=800, val_interval=800)
auto_scale_lr = dict(base_batch_size=4)
