# For training from random weights: residual branches that do not begin at zero, as MMSegmentation's ResNet has them by
# default. With zeros no 3x3 convolution has a part in what the network first computes, and a short training is too short
# to bring them all into play.
_base_ = './r18_light-fpn.py'
model = dict(backbone=dict(zero_init_residual=False))
