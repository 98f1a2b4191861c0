# COCO-Stuff, 27 coarse classes, the curated lists, at full resolution
_base_ = './labeled_full.py'
dataset_type = 'COCOStuff27Dataset'
data_root = 'data/coco'
train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='images/train2017', seg_map_path='annotations27/train2017'),
        ann_file='lists/train2017.txt',
    )
)
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='images/val2017', seg_map_path='annotations27/val2017'),
        ann_file='lists/val2017.txt',
    )
)
test_dataloader = val_dataloader
