# The baseline: the same probe on an embedder that has learned nothing
_base_ = './vice_r18-w32_light-fpn_linear-64-200_synthetic-96x128.py'
model = dict(embedder_checkpoint=None)
