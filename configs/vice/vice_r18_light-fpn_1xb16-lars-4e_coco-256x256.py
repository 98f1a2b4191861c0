# The same on 1 GPU of 16 images: by the linear rule, 1/8 of the learning rate, 8 times the steps, the queue over
# all GPUs as long as before
_base_ = './vice_r18_light-fpn_32xb4-lars-4e_coco-256x256.py'
train_dataloader = dict(batch_size=16)
optim_wrapper = dict(optimizer=dict(lr=0.04))
model = dict(head=dict(queue_length=160000, queue_start_iter=2504, freeze_concepts_iters=2504))
auto_scale_lr = dict(base_batch_size=16)
