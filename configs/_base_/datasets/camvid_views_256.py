# The paper's low resolution on CamVid
_base_ = './views_256.py'
train_dataloader = dict(batch_size=16, dataset=dict(data_root='data/camvid', data_prefix=dict(img_path='images/train')))
