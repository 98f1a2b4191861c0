# Labelled CamVid for encoders that have weights: images of 240x320 in, predictions measured at the labels' own 360x480.
# Colours are as they are: probes of 150 steps have no time to learn not to mind distorted ones.
_base_ = './camvid_96x128.py'
train_pipeline = [
    dict(step, scale=(320, 240)) if step['type'] == 'Resize' else step
    for step in _base_.train_pipeline
    if step['type'] != 'PhotoMetricDistortion'
]
fit_pipeline = [step for step in train_pipeline if step['type'] != 'RandomFlip']
test_pipeline = [dict(step, scale=(320, 240)) if step['type'] == 'Resize' else step for step in _base_.test_pipeline]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
