_base_ = './r18_light-fpn.py'
model = dict(backbone=dict(depth=152), decoder=dict(in_channels=[256, 512, 1024, 2048]))
