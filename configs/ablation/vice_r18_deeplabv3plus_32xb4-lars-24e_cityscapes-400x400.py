# Table 4: DeepLabV3+ at high resolution
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
train_cfg = dict(max_epochs=24)
