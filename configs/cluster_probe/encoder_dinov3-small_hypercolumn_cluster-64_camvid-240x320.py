# DINOv3 ViT-S/16 as it is, without a decoder
_base_ = './vice_dinov3-small_subpixel_cluster-64_camvid-240x320.py'
model = dict(
    embedder_checkpoint=None,
    pretrained='checkpoints/dinov3_vits16_pretrain_lvd1689m-08c60483.pth',
    decoder=dict(_delete_=True, type='HypercolumnDecoder'),
)
