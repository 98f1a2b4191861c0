# ConvNeXt-T that DINOv3 was distilled into
_base_ = './timm-convnext-tiny_light-fpn.py'
model = dict(backbone=dict(name='convnext_tiny.dinov3_lvd1689m'))
