# EfficientNet-Lite0 and its decoder learn from one's own unlabelled images
_base_ = './vice_efficientnet-lite0_light-fpn_adamw-500_camvid-192x192.py'
train_dataloader = dict(dataset=dict(data_root='data/my_images', data_prefix=dict(img_path='')))
