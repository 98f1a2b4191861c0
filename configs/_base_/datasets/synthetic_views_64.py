# Procedural street scenes, nothing to download: 4 views of 64x64 from scenes of 96x128
train_pipeline = [
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
    dataset=dict(type='SyntheticScenesDataset', num_scenes=1000, seed=0, size=(96, 128), pipeline=train_pipeline),
)
