# ViCE from scratch on CamVid, sized for one CPU core
_base_ = [
    '../_base_/models/r18_light-fpn.py',
    '../_base_/datasets/camvid_views_64.py',
    '../_base_/schedules/adamw.py',
    '../_base_/pretrain_runtime.py',
]
model = dict(
    type='ViCE',
    decoder=dict(embed_dims=64),
    head=dict(
        type='DenseSwAVHead', num_concepts=64, queue_length=1500, queue_start_iter=100, freeze_concepts_iters=100
    ),
)
