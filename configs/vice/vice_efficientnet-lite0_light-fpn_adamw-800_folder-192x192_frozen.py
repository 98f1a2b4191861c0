# EfficientNet-Lite0 as it is under a decoder that learns from one's own unlabelled images
_base_ = './vice_efficientnet-lite0_light-fpn_adamw-800_camvid-192x192_frozen.py'
train_dataloader = dict(dataset=dict(data_root='data/my_images', data_prefix=dict(img_path='')))
