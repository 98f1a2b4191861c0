# The baseline: the same probe on an embedder that has learned nothing
_base_ = './vice_r18_light-fpn_linear-64-1k_camvid-96x128.py'
model = dict(embedder_checkpoint=None)
