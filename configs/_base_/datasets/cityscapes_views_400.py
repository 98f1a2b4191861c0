# Cityscapes without labels: the 2,975 images of train and the 19,998 of train_extra
_base_ = './views_400.py'
train_dataloader = dict(
    dataset=dict(
        data_root='data/cityscapes', data_prefix=dict(img_path=['leftImg8bit/train', 'leftImg8bit/train_extra'])
    )
)
