# Table 1: from random weights
_base_ = './vice_r18_light-fpn_32xb4-lars-24e_cityscapes-256x256_slic-10.py'
model = dict(pretrained=None)
