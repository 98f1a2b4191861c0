# The baseline: the same probe on an embedder that has learned nothing
_base_ = './vice_r18_light-fpn_linear-256-12k_camvid-320.py'
model = dict(embedder_checkpoint=None)
