_base_ = './embedder.py'
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    backbone=dict(type='ResNet', depth=18, norm_cfg=norm_cfg, norm_eval=False, style='pytorch'),
    decoder=dict(type='LightFPN', in_channels=[64, 128, 256, 512], embed_dims=128),
)
