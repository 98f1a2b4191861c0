_base_ = './r50_deeplabv3plus.py'
model = dict(backbone=dict(depth=101))
