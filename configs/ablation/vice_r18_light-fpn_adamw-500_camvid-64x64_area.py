# The loss as a mean over the pixels of the primary views, in place of images and their regions
_base_ = './vice_r18_light-fpn_adamw-500_camvid-64x64.py'
model = dict(head=dict(reduction='area'))
