# Table 11: all of DeepLabV3+ trained with labels, from ImageNet's weights. Fewer images:
#     --cfg-options train_dataloader.dataset.ann_file=lists/subsets/train2017_1pct_seed-0.txt
_base_ = [
    '../_base_/models/segmentor_r50_deeplabv3plus.py',
    '../_base_/datasets/coco-stuff27_512.py',
    '../_base_/schedules/finetune_20k.py',
    '../_base_/default_runtime.py',
]
model = dict(pretrained='torchvision://resnet50')
