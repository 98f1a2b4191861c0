# Table 5, the baseline that every row changes one thing of: 4 views of 500x500, masks of up to 50 %, D = 64
_base_ = '../vice/vice_r50_deeplabv3plus_32xb4-lars-16e_coco-400x400.py'
changes = dict(
    ContextualViewCrop=dict(num_views=4, view_size=500, scale_range=(0.5, 1.5)), SuperpixelMask=dict(max_ratio=0.5)
)
train_pipeline = [{**step, **changes.get(step['type'], {})} for step in _base_.train_pipeline]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
model = dict(decoder=dict(embed_dims=64))
train_cfg = dict(max_epochs=4)
default_hooks = dict(checkpoint=dict(interval=1000, max_keep_ckpts=2))
