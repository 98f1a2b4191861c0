_base_ = ['../_base_/models/dinov3-small_subpixel.py', '../_base_/schedules/encoder_linear_probe.py']
model = dict(
    type='ProbeSegmentor',
    embedder_checkpoint='work_dirs/vice_dinov3-small_subpixel_adamw-800_camvid-192x192_frozen/iter_800.pth',
    decode_head=dict(type='LinearProbeHead', num_classes=11, num_filters=11, whiten=True),
)
