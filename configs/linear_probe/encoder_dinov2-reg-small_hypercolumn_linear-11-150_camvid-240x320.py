# DINOv2 ViT-S/14 with registers as it is, without a decoder
_base_ = './vice_dinov2-reg-small_subpixel_linear-11-150_camvid-240x320.py'
model = dict(
    embedder_checkpoint=None,
    pretrained='checkpoints/dinov2_vits14_reg4_pretrain.pth',
    decoder=dict(_delete_=True, type='HypercolumnDecoder'),
)
