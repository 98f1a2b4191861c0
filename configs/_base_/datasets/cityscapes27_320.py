# Cityscapes, PiCIE's 27 classes, at the paper's low resolution
_base_ = './cityscapes_320.py'
train_dataloader = dict(dataset=dict(type='Cityscapes27Dataset'))
val_dataloader = dict(dataset=dict(type='Cityscapes27Dataset'))
test_dataloader = val_dataloader
