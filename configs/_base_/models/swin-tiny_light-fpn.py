_base_ = './embedder.py'
model = dict(
    backbone=dict(
        type='SwinTransformer',
        embed_dims=96,
        depths=[2, 2, 6, 2],
        num_heads=[3, 6, 12, 24],
        window_size=7,
        out_indices=(0, 1, 2, 3),
        drop_path_rate=0.2,
    ),
    decoder=dict(type='LightFPN', in_channels=[96, 192, 384, 768], embed_dims=128),
)
