# The same on 8 GPUs of 4 images: by the linear rule, 1/4 of the learning rate, 4 times the steps, the queue over
# all GPUs as long as before
_base_ = './vice_r18_deeplabv3plus_32xb4-lars-48e_cityscapes-400x400.py'
optim_wrapper = dict(optimizer=dict(lr=0.08))
model = dict(head=dict(queue_length=20000, queue_start_iter=1252, freeze_concepts_iters=1252))
auto_scale_lr = dict(base_batch_size=32)
default_hooks = dict(checkpoint=dict(interval=2000))
