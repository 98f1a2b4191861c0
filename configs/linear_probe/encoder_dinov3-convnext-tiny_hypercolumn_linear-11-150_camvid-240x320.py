# DINOv3 ConvNeXt-T as it is, without a decoder
_base_ = './vice_dinov3-convnext-tiny_light-fpn_linear-11-150_camvid-240x320.py'
model = dict(
    embedder_checkpoint=None,
    pretrained='checkpoints/dinov3_convnext_tiny_pretrain_lvd1689m-21b726bb.pth',
    decoder=dict(_delete_=True, type='HypercolumnDecoder'),
)
