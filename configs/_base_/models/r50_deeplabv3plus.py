_base_ = './r18_deeplabv3plus.py'
model = dict(
    backbone=dict(depth=50),
    decoder=dict(head=dict(in_channels=2048, channels=512, c1_in_channels=256, c1_channels=48)),
)
