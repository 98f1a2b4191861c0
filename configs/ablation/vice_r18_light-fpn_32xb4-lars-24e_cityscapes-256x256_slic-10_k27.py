# Table 1: 27 concepts, as many as the clusters that PiCIE is trained with
_base_ = './vice_r18_light-fpn_32xb4-lars-24e_cityscapes-256x256_slic-10.py'
model = dict(head=dict(num_concepts=27))
