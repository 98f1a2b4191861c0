_base_ = './r18_light-fpn.py'
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    decoder=dict(
        _delete_=True,
        type='SegHeadDecoder',
        embed_dims=128,
        neck=dict(type='FPN', in_channels=[64, 128, 256, 512], out_channels=256, num_outs=4),
        head=dict(
            type='FPNHead',
            in_channels=[256, 256, 256, 256],
            in_index=[0, 1, 2, 3],
            feature_strides=[4, 8, 16, 32],
            channels=128,
            norm_cfg=norm_cfg,
        ),
    )
)
