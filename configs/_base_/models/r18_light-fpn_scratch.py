# For training from random weights: residual branches that do not begin at zero, unlike MMSegmentation's by default.
# With zeros no 3x3 convolution has a part in what the network first computes, and a short training does not bring all
# of them into play.
_base_ = './r18_light-fpn.py'
model = dict(backbone=dict(zero_init_residual=False))
