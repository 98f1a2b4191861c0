# One's own unlabelled images, sized for one CPU core: 4 views of 64x64 from images of 96x128
_base_ = './vice_r18_light-fpn_adamw-2k_camvid-64x64.py'
train_dataloader = dict(dataset=dict(data_root='data/my_images', data_prefix=dict(img_path='')))
