# The paper's low resolution, PiCIE's protocol: image and labels resized to 320 on the shorter side and cropped to the
# central 320x320, which is what predictions are scored on
_base_ = './labeled.py'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='ResizeShortestEdge', scale=320, max_size=100_000),
    dict(type='CenterCrop', crop_size=(320, 320)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='ResizeShortestEdge', scale=320, max_size=100_000),
    dict(type='CenterCrop', crop_size=(320, 320)),
    dict(type='TreatAsOriginal'),
    dict(type='PackSegInputs'),
]
fit_pipeline = test_pipeline  # what a cluster probe is fitted to: training images without augmentation
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
