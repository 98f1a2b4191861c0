"""The plan of a benchmark: which trainings, with which settings, in which folders and order."""

from pathlib import Path

import pytest

from mmvice.experiments.plan import Planner
from mmvice.experiments.tables import select

WORK = Path('runs')


def plan(benchmark, split='table', rows=None, probes=None, seeds=None, size='cpu', **kwargs):
    planner = Planner.of(benchmark, size, split, rows=rows, probes=probes, seeds=seeds, **kwargs)
    return planner.jobs(select(benchmark, []))


def folders(jobs):
    return [job.folder.relative_to(WORK / 'cpu').as_posix() for job in jobs]


def test_every_row_seed_and_probe_has_a_folder_and_rows_share_a_pretraining(benchmark):
    jobs = plan(benchmark, 'tune', ['random', 'regions', 'regions-backbone'], ['linear-8'])
    assert folders(jobs) == [
        'random/tune_decoder_linear-8',
        'regions',
        'regions/tune_decoder_linear-8',
        'regions/tune_hypercolumns_linear-8',
        'random_seed-1/tune_decoder_linear-8',
        'regions_seed-1',
        'regions_seed-1/tune_decoder_linear-8',
    ]
    _, pretraining, decoder, backbone, *_ = jobs
    assert decoder.needs is pretraining and backbone.needs is pretraining
    assert decoder.options['model.embedder_checkpoint'] == str(pretraining.folder / 'iter_4.pth')
    assert 'model.embedder_checkpoint' not in jobs[0].options
    assert backbone.options['model.decoder.type'] == 'HypercolumnDecoder'
    assert decoder.config.name == 'linear_tune.py' and pretraining.config.name == 'vice.py'
    assert [job.options['randomness.seed'] for job in jobs] == [0] * 4 + [1] * 3


def test_seeds_given_are_those_of_every_row(benchmark):
    jobs = plan(benchmark, 'table', ['random-backbone', 'grid'], [], [3, 5])
    assert folders(jobs) == ['grid_seed-3', 'grid_seed-5']


def test_a_training_with_labels_is_one_for_each_split(benchmark):
    (tune,), (table,) = (plan(benchmark, split, ['supervised'], []) for split in ('tune', 'table'))
    assert tune.config.name == 'supervised_tune.py' and table.config.name == 'supervised.py'
    assert tune.folder != table.folder


def test_a_curve_keeps_checkpoints_and_probes_them_for_the_table(benchmark):
    jobs = plan(benchmark, 'table', ['regions'], ['linear-3', 'linear-8'])
    assert folders(jobs)[:4] == [
        'regions',
        'regions/table_decoder_linear-3',
        'regions/table_decoder_linear-8_iter-2',
        'regions/table_decoder_linear-8',
    ]
    assert jobs[0].load_config().default_hooks.checkpoint == dict(interval=2, max_keep_ckpts=-1)
    assert [job.checkpoint.name for job in jobs[1:4]] == ['iter_4.pth', 'iter_2.pth', 'iter_4.pth']
    other = next(job for job in jobs if job.seed == 1)
    assert other.load_config().default_hooks.checkpoint.max_keep_ckpts == 1
    tuned = plan(benchmark, 'tune', ['regions'], ['linear-8'], [0])
    assert tuned[0].fingerprint == jobs[0].fingerprint, 'both splits use one pretraining'
    assert len(tuned) == 2


def test_settings_that_are_tried_reach_the_pretraining_and_what_the_probe_shares_with_it(benchmark):
    options = {
        'train_dataloader.dataset.pipeline.Regions.size': 9,
        'model.decoder.embed_dims': 7,
        'model.backbone.depth': 34,
        'model.head.k': 5,
    }
    rows = ['regions', 'regions-backbone', 'grid']
    jobs = plan(benchmark, 'tune', rows, ['linear-3'], [0], variant='big', variant_options=options)
    pretraining, decoder, backbone, grid, _ = jobs
    assert pretraining.folder == WORK / 'cpu/regions@big'
    cfg = pretraining.load_config()
    assert cfg.train_dataloader.dataset.pipeline[1] == dict(type='Regions', size=9)
    assert (cfg.model.decoder.embed_dims, cfg.model.head.k) == (7, 5)
    of_decoder, of_backbone = decoder.load_config().model, backbone.load_config().model
    assert (of_decoder.decoder.embed_dims, of_decoder.backbone.depth) == (7, 34)
    assert of_backbone.decoder == dict(type='HypercolumnDecoder') and of_backbone.backbone.depth == 34
    assert of_decoder.head.k == 2
    # what makes the row a row is not overridden
    assert grid.load_config().train_dataloader.dataset.pipeline[1].size == 1


def test_a_probe_is_another_if_its_pretraining_is(benchmark):
    def probe(**options):
        tried = dict(variant='v', variant_options=options) if options else {}
        return plan(benchmark, 'tune', ['regions'], ['linear-3'], [1], **tried)[1]

    same, other = probe(**{'model.head.k': 2}), probe(**{'model.head.k': 3})
    assert same.fingerprint == probe().fingerprint != other.fingerprint
    moved = plan(benchmark, 'tune', ['regions'], ['linear-3'], [1], work_dirs=Path('elsewhere'))[1]
    assert moved.fingerprint == probe().fingerprint, 'where a run lies makes no difference'


def test_a_command_is_one_of_the_tools(benchmark, monkeypatch):
    monkeypatch.chdir(benchmark.path.parent)
    job = plan(benchmark, 'table', ['random-backbone'], ['linear-3'])[0]
    assert ' '.join(job.command()) == (
        'python tools/train.py cpu/linear.py --work-dir runs/cpu/random/table_hypercolumns_linear-3 --resume '
        '--cfg-options model.decoder._delete_=True model.decoder.type=HypercolumnDecoder '
        'model.decode_head.num_filters=3 randomness.seed=0'
    )
    pretraining, probe = plan(benchmark, 'table', ['grid'], ['linear-3'], [0], 'gpu')
    assert '--amp' in pretraining.command() and '--amp' not in probe.command()


def test_weights_of_probes_are_kept_where_pictures_show_them(benchmark):
    jobs = plan(benchmark, 'table', ['regions'])
    assert {(job.probe, job.seed, job.step) for job in jobs if job.keep_weights} == {
        (None, 0, None),
        (None, 1, None),
        ('linear-8', 0, None),
    }


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(rows=['pixels']), 'there is no row pixels; there are random, random-backbone, grid'),
        (dict(size='tpu'), 'there is no size tpu; there are cpu, gpu'),
        (dict(variant_options={'a': 1}), 'need a name'),
        (dict(variant='../up', variant_options={'a': 1}), r"is named by letters.*got '\.\./up'"),
        (dict(probes=['linear-5']), 'there is no probe linear-5; there are linear-3, linear-8'),
        (
            dict(rows=['grid'], variant='v', variant_options={'train_dataloader.dataset.pipeline.Mask.ratio': 1}),
            'has 0 steps Mask there; its steps are Load, Regions',
        ),
        (
            dict(rows=['grid'], variant='v', variant_options={'train_dataloader.dataset.pipeline.Regions': 3}),
            'is a step of a pipeline: give one of its settings',
        ),
    ],
)
def test_what_is_not_there_is_named_with_what_is(benchmark, kwargs, message):
    with pytest.raises(ValueError, match=message):
        plan(benchmark, 'table', **kwargs)
