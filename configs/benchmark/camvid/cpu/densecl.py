# DenseCL of MMPretrain on the same images, as many of them, with the same backbone: its own two views of an image, of
# 96x96 like ViCE's. MMPretrain's queue of 65536 is 178 times the images there are, each its own negative; 256 hold
# others. The key encoder follows faster, for a training as short.
_base_ = [
    '../../../_base_/datasets/camvid_views_96.py',
    '../../../_base_/schedules/adamw.py',
    '../../../_base_/default_runtime.py',
]
model = dict(
    type='mmpretrain.DenseCL',
    queue_len=256,
    feat_dim=128,
    momentum=0.01,
    loss_lambda=0.5,
    data_preprocessor=dict(
        type='mmpretrain.SelfSupDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
    backbone=dict(
        type='ResNet',
        depth=18,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        norm_eval=False,
        zero_init_residual=False,
        style='pytorch',
        out_indices=(3,),
    ),
    neck=dict(type='mmpretrain.DenseCLNeck', in_channels=512, hid_channels=512, out_channels=128, num_grid=None),
    head=dict(type='mmpretrain.ContrastiveHead', loss=dict(type='mmpretrain.CrossEntropyLoss'), temperature=0.2),
)
# MMPretrain's pipeline of MoCo v2, which its DenseCL uses, with the blur for images of this size
view_pipeline = [
    dict(type='mmpretrain.RandomResizedCrop', scale=96, crop_ratio_range=(0.2, 1.0), backend='cv2'),
    dict(
        type='mmpretrain.RandomApply',
        transforms=[dict(type='mmpretrain.ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)],
        prob=0.8,
    ),
    dict(
        type='mmpretrain.RandomGrayscale',
        prob=0.2,
        keep_channels=True,
        channel_weights=(0.114, 0.587, 0.2989),
    ),
    dict(type='mmpretrain.GaussianBlur', magnitude_range=(0.1, 1.0), magnitude_std='inf', prob=0.5),
    dict(type='mmpretrain.RandomFlip', prob=0.5),
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(128, 96), keep_ratio=True, interpolation='area'),
    dict(type='mmpretrain.MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='mmpretrain.PackInputs'),
]
train_dataloader = dict(collate_fn=dict(type='default_collate'), dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=3e-4))
train_cfg = dict(max_iters=1000, val_interval=1000)
default_hooks = dict(checkpoint=dict(interval=250, max_keep_ckpts=1))
auto_scale_lr = dict(base_batch_size=4)
