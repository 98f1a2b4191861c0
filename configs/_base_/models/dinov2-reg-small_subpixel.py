# DINOv2 ViT-S/14 with registers
_base_ = './deit-small_subpixel.py'
model = dict(backbone=dict(name='vit_small_patch14_reg4_dinov2'))
