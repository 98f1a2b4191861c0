# ConvNeXt-T as it is, without a decoder
_base_ = './vice_timm-convnext-tiny_light-fpn_cluster-64_camvid-240x320.py'
model = dict(
    embedder_checkpoint=None,
    pretrained='checkpoints/convnext_tiny.fb_in1k.safetensors',
    decoder=dict(_delete_=True, type='HypercolumnDecoder'),
)
