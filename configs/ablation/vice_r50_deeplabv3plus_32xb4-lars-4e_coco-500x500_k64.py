# Table 5: 64 concepts
_base_ = './vice_r50_deeplabv3plus_32xb4-lars-4e_coco-500x500.py'
model = dict(head=dict(num_concepts=64))
