_base_ = './embedder.py'
model = dict(
    backbone=dict(type='mmpretrain.ConvNeXt', arch='tiny', out_indices=[0, 1, 2, 3], gap_before_final_norm=False),
    decoder=dict(type='LightFPN', in_channels=[96, 192, 384, 768], embed_dims=128),
)
