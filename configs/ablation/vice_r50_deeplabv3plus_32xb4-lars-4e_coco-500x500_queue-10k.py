# Table 5: a queue of 10,000
_base_ = './vice_r50_deeplabv3plus_32xb4-lars-4e_coco-500x500.py'
model = dict(head=dict(queue_length=10000))
