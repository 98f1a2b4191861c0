# CPU-sized pretraining on CamVid: images of 96x128, 4 views of 64x64, superpixels of 6 px
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(128, 96), keep_ratio=True, interpolation='area'),
    dict(type='SuperpixelSLIC', region_size=6),
    dict(type='ContextualViewCrop', num_views=4, view_size=64, scale_range=(0.5, 1.5)),
    dict(type='SuperpixelMask', max_ratio=0.25, preserve_ratio=0.25),
    dict(type='RandomViewFlip', prob=0.5),
    dict(type='ViewColorDistortion', strength=0.5),
    dict(type='ViewGaussianBlur', prob=0.5, sigma_range=(0.1, 1.0)),
    dict(type='MutualRegions'),
    dict(type='PackViCEInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='SeededInfiniteSampler', shuffle=True),
    dataset=dict(
        type='UnlabeledImageDataset',
        data_root='data/camvid',
        data_prefix=dict(img_path='images/train'),
        pipeline=train_pipeline,
    ),
)
