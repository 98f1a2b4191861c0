_base_ = ['../_base_/models/timm-convnext-tiny_light-fpn.py', '../_base_/schedules/encoder_cluster_probe.py']
model = dict(
    type='ProbeSegmentor',
    embedder_checkpoint='work_dirs/vice_timm-convnext-tiny_light-fpn_adamw-800_camvid-192x192_frozen/iter_800.pth',
    decode_head=dict(type='ClusterProbeHead', num_classes=11, num_clusters=64),
)
