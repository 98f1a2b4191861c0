# DINOv3 ViT-S/16
_base_ = './deit-small_subpixel.py'
model = dict(backbone=dict(name='vit_small_patch16_dinov3'))
