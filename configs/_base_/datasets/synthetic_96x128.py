# Labelled procedural street scenes for the probes; the held-out scenes come after the training scenes of all configs.
# Scenes are kept in memory once they are rendered, so that workers would cost more than they bring.
dataset_type = 'SyntheticScenesDataset'
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]  # of files; scenes are loaded already
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='SeededInfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        num_scenes=200,
        seed=0,
        size=(96, 128),
        pipeline=[dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'), dict(type='PackSegInputs')],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        num_scenes=100,
        start=100_000,
        seed=0,
        size=(96, 128),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='ClassIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
