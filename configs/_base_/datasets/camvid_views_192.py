# CamVid for encoders that have weights, sized for one CPU core: images of 240x320, 2 views of 192x192, superpixels of
# 12 px
_base_ = './camvid_views_64.py'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(100_000, 240), keep_ratio=True, interpolation='area'),  # the shorter side to 240
    dict(type='SuperpixelSLIC', region_size=12),
    dict(type='ContextualViewCrop', num_views=2, view_size=192, scale_range=(0.5, 1.25)),
    *_base_.train_pipeline[4:],
]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
