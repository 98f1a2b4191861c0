_base_ = './r18_light-fpn.py'
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    backbone=dict(dilations=(1, 1, 2, 4), strides=(1, 2, 1, 1), contract_dilation=True),
    decoder=dict(
        _delete_=True,
        type='SegHeadDecoder',
        embed_dims=128,
        head=dict(
            type='DepthwiseSeparableASPPHead',
            in_channels=512,
            in_index=3,
            channels=128,
            dilations=(1, 12, 24, 36),
            c1_in_channels=64,
            c1_channels=12,
            norm_cfg=norm_cfg,
        ),
    ),
)
