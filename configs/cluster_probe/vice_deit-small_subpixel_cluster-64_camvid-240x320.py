_base_ = ['../_base_/models/deit-small_subpixel.py', '../_base_/schedules/encoder_cluster_probe.py']
model = dict(
    type='ProbeSegmentor',
    embedder_checkpoint='work_dirs/vice_deit-small_subpixel_adamw-800_camvid-192x192_frozen/iter_800.pth',
    decode_head=dict(type='ClusterProbeHead', num_classes=11, num_clusters=64),
)
