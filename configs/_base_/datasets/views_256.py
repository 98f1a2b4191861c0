# The paper's low resolution: square centre crop, 320x320, 5 views of 256x256, superpixels of 20 px.
# Inherited by the data sets, which say where the images are.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeShortestEdge', scale=320, max_size=100_000),
    dict(type='CenterCrop', crop_size=(320, 320)),
    dict(type='SuperpixelSLIC', region_size=20, ruler=10.0, num_iters=5),
    dict(type='ContextualViewCrop', num_views=5, view_size=256, scale_range=(0.5, 1.5)),
    dict(type='SuperpixelMask', max_ratio=0.25, preserve_ratio=0.25),
    dict(type='RandomViewFlip', prob=0.5),
    dict(type='ViewColorDistortion', strength=1.0),
    dict(type='ViewGaussianBlur', prob=0.5, sigma_range=(0.1, 2.0)),
    dict(type='MutualRegions'),
    dict(type='PackViCEInputs'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='SeededInfiniteSampler', shuffle=True),
    dataset=dict(type='UnlabeledImageDataset', pipeline=train_pipeline),
)
