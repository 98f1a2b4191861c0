# Table 6 and Fig. 4, their base: 4 epochs of high resolution on COCO, D = K = 128, superpixels of 20 px
_base_ = '../vice/vice_r50_deeplabv3plus_32xb4-lars-16e_coco-400x400.py'
train_cfg = dict(max_epochs=4)
default_hooks = dict(checkpoint=dict(interval=1000, max_keep_ckpts=2))
