# Table 7 and 8: the paper's low resolution on Cityscapes, 32 GPUs of 4 images
_base_ = [
    '../_base_/models/r18_light-fpn.py',
    '../_base_/datasets/cityscapes_views_256.py',
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
