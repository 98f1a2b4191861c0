# What every embedder shares. ImageNet's mean and standard deviation, as all of mmseg's and mmpretrain's weights expect.
model = dict(
    data_preprocessor=dict(
        type='ViCEDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size_divisor=1,
        pad_val=0,
        seg_pad_val=255,
    )
)
