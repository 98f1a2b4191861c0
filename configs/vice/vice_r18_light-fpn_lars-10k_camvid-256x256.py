# The paper's low-resolution setting (320x320 images, 5 views of 256x256, D = K = 128) from scratch on CamVid
_base_ = [
    '../_base_/models/r18_light-fpn.py',
    '../_base_/datasets/camvid_views_256.py',
    '../_base_/schedules/lars.py',
    '../_base_/pretrain_runtime.py',
]
model = dict(
    type='ViCE',
    head=dict(
        type='DenseSwAVHead', num_concepts=128, queue_length=5000, queue_start_iter=313, freeze_concepts_iters=313
    ),
)
optim_wrapper = dict(optimizer=dict(lr=0.04))
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=10000, val_interval=10000)
auto_scale_lr = dict(base_batch_size=16)
