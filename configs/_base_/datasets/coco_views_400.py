# COCO without labels: the 118,287 images of train2017 and the 123,403 of unlabeled2017
_base_ = './views_400.py'
train_dataloader = dict(
    dataset=dict(data_root='data/coco', data_prefix=dict(img_path=['images/train2017', 'images/unlabeled2017']))
)
