# Table 3, and 9 and 10 on the embedder trained on COCO
_base_ = [
    '../_base_/models/r50_deeplabv3plus.py',
    '../_base_/datasets/cityscapes_full.py',
    '../_base_/schedules/linear_probe.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ProbeSegmentor',
    embedder_checkpoint='work_dirs/vice_r50_deeplabv3plus_32xb4-lars-72e_cityscapes-400x400',
    decode_head=dict(type='LinearProbeHead', num_classes=19, num_filters=256),
)
train_pipeline = [
    {**step, 'crop_size': (512, 1024)} if step['type'] == 'RandomCrop' else step for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
