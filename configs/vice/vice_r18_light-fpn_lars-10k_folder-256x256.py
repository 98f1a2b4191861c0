# One's own unlabelled images, at the paper's low-resolution setting. All it needs is where they are:
#     tools/train.py configs/vice/vice_r18_light-fpn_lars-10k_folder-256x256.py \
#         --cfg-options train_dataloader.dataset.data_root=path/to/images
_base_ = './vice_r18_light-fpn_lars-10k_camvid-256x256.py'
train_dataloader = dict(dataset=dict(data_root='data/my_images', data_prefix=dict(img_path='')))
