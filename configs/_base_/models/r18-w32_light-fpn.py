# Half the channels of ResNet-18, for minutes on a CPU
_base_ = './r18_light-fpn.py'
model = dict(backbone=dict(base_channels=32), decoder=dict(in_channels=[32, 64, 128, 256]))
