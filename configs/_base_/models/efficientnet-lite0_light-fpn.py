# EfficientNet-Lite0 with weights of timm's tf_efficientnet_lite0, which were trained on values from -1 to 1
_base_ = './embedder.py'
model = dict(
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    backbone=dict(type='TimmEncoder', name='tf_efficientnet_lite0'),
    decoder=dict(type='LightFPN', embed_dims=128),
)
