# Table 3 and 7 to 10: the paper's high resolution on Cityscapes, 32 GPUs of 4 images
_base_ = [
    '../_base_/models/r18_deeplabv3plus.py',
    '../_base_/datasets/cityscapes_views_400.py',
    '../_base_/schedules/lars.py',
    '../_base_/pretrain_runtime.py',
]
model = dict(
    type='ViCE',
    pretrained=f'torchvision://resnet{_base_.model.backbone.depth}',
    head=dict(
        type='DenseSwAVHead', num_concepts=128, queue_length=5000, queue_start_iter=313, freeze_concepts_iters=313
    ),
)
train_cfg = dict(max_epochs=48)
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=-1))  # all of them, for the curve
