# EfficientNet-Lite0 as it is, without a decoder
_base_ = './vice_efficientnet-lite0_light-fpn_cluster-64_camvid-240x320.py'
model = dict(
    embedder_checkpoint=None,
    pretrained='checkpoints/tf_efficientnet_lite0.pth',
    decoder=dict(_delete_=True, type='HypercolumnDecoder'),
)
