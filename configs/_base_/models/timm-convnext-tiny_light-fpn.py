# ConvNeXt-T of timm; convnext-tiny_light-fpn.py is MMPretrain's, whose weights have other names
_base_ = './embedder.py'
model = dict(
    backbone=dict(type='TimmEncoder', name='convnext_tiny'),
    decoder=dict(type='LightFPN', embed_dims=128),
)
