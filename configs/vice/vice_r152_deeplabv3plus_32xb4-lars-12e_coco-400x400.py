# Table 3 and Fig. 8: high resolution on COCO with a ResNet-152
_base_ = [
    '../_base_/models/r152_deeplabv3plus.py',
    '../_base_/datasets/coco_views_400.py',
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
train_cfg = dict(max_epochs=12)
default_hooks = dict(checkpoint=dict(interval=2000, max_keep_ckpts=-1))  # all of them, for the curve
