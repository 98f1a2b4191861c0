# The same on 1 GPU of 4 images: by the linear rule, 1/32 of the learning rate, 32 times the steps, the queue over
# all GPUs as long as before
_base_ = './vice_r50_deeplabv3plus_32xb4-lars-16e_coco-400x400.py'
optim_wrapper = dict(optimizer=dict(lr=0.01))
model = dict(head=dict(queue_length=160000, queue_start_iter=10016, freeze_concepts_iters=10016))
auto_scale_lr = dict(base_batch_size=4)
default_hooks = dict(checkpoint=dict(interval=64000))
