# DeiT-S/16: the maps of the last four blocks, one vector for each patch of 16x16, made four times finer
_base_ = './embedder.py'
model = dict(
    backbone=dict(type='TimmEncoder', name='deit_small_patch16_224'),
    decoder=dict(type='SubpixelDecoder', embed_dims=128),
)
