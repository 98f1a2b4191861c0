"""The plan of a benchmark: which trainings, with which settings, in which folders and order."""

from pathlib import Path

import pytest
from small_benchmark import write_benchmark

from mmvice.apis.probe_benchmark import Variant, make_plan, read_benchmark

WORK = Path('runs')


@pytest.fixture
def benchmark(tmp_path):
    return read_benchmark(write_benchmark(tmp_path / 'benchmark'))


def folders(jobs):
    return [job.folder.relative_to(WORK).as_posix() for job in jobs]


def test_every_row_seed_and_probe_has_a_folder_and_rows_share_a_pretraining(benchmark):
    jobs = make_plan(benchmark, WORK, 'cpu', 'tune', ['random', 'regions', 'regions-backbone'], ['linear-8'])
    assert folders(jobs) == [
        'cpu/random/seed-0/tune/decoder_linear-8',
        'cpu/regions/seed-0/pretraining',
        'cpu/regions/seed-0/tune/decoder_linear-8',
        'cpu/regions/seed-0/tune/hypercolumns_linear-8',
        'cpu/random/seed-1/tune/decoder_linear-8',
        'cpu/regions/seed-1/pretraining',
        'cpu/regions/seed-1/tune/decoder_linear-8',
    ]
    _, pretraining, decoder, backbone, *_ = jobs
    assert decoder.needs is pretraining and backbone.needs is pretraining
    assert decoder.options['model.embedder_checkpoint'] == str(pretraining.folder / 'iter_4.pth')
    assert 'model.embedder_checkpoint' not in jobs[0].options
    assert backbone.options['model.decoder.type'] == 'HypercolumnDecoder'
    assert decoder.config.name == 'linear_tune.py' and pretraining.config.name == 'vice.py'
    assert [job.options['randomness.seed'] for job in jobs] == [0] * 4 + [1] * 3


def test_seeds_given_are_those_of_every_row(benchmark):
    jobs = make_plan(benchmark, WORK, 'cpu', 'table', ['random-backbone', 'grid'], [], [3, 5])
    assert folders(jobs) == ['cpu/grid/seed-3/pretraining', 'cpu/grid/seed-5/pretraining']


def test_a_training_with_labels_is_one_for_each_split(benchmark):
    (tune,), (table,) = (make_plan(benchmark, WORK, 'cpu', split, ['supervised'], []) for split in ('tune', 'table'))
    assert tune.config.name == 'supervised_tune.py' and table.config.name == 'supervised.py'
    assert tune.folder != table.folder


def test_a_curve_keeps_checkpoints_and_probes_them_for_the_table(benchmark):
    jobs = make_plan(benchmark, WORK, 'cpu', 'table', ['regions'], ['linear-3', 'linear-8'])
    assert folders(jobs)[:4] == [
        'cpu/regions/seed-0/pretraining',
        'cpu/regions/seed-0/table/decoder_linear-3',
        'cpu/regions/seed-0/table/decoder_linear-8_iter-2',
        'cpu/regions/seed-0/table/decoder_linear-8',
    ]
    assert jobs[0].load_config().default_hooks.checkpoint == dict(interval=2, max_keep_ckpts=-1)
    assert [job.checkpoint.name for job in jobs[1:4]] == ['iter_4.pth', 'iter_2.pth', 'iter_4.pth']
    other = next(job for job in jobs if job.seed == 1)
    assert other.load_config().default_hooks.checkpoint.max_keep_ckpts == 1
    tuned = make_plan(benchmark, WORK, 'cpu', 'tune', ['regions'], ['linear-8'], [0])
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
    jobs = make_plan(benchmark, WORK, 'cpu', 'tune', rows, ['linear-3'], [0], Variant('big', options))
    pretraining, decoder, backbone, grid, _ = jobs
    assert pretraining.folder == WORK / 'cpu/regions@big/seed-0/pretraining'
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
        variant = Variant('v', options) if options else None
        return make_plan(benchmark, WORK, 'cpu', 'tune', ['regions'], ['linear-3'], [1], variant)[1]

    same, other = probe(**{'model.head.k': 2}), probe(**{'model.head.k': 3})
    assert same.fingerprint == probe().fingerprint != other.fingerprint
    moved = make_plan(benchmark, Path('elsewhere'), 'cpu', 'tune', ['regions'], ['linear-3'], [1])[1]
    assert moved.fingerprint == probe().fingerprint, 'where a run lies makes no difference'


def test_a_command_is_one_of_the_tools(benchmark, monkeypatch):
    monkeypatch.chdir(benchmark.folder)
    job = make_plan(benchmark, WORK, 'cpu', 'table', ['random-backbone'], ['linear-3'])[0]
    assert ' '.join(job.command(Path('tools/train.py'))) == (
        'tools/train.py cpu/linear.py --work-dir runs/cpu/random/seed-0/table/hypercolumns_linear-3 --resume '
        '--cfg-options model.decoder._delete_=True model.decoder.type=HypercolumnDecoder '
        'model.decode_head.num_filters=3 randomness.seed=0'
    )
    pretraining, probe = make_plan(benchmark, WORK, 'gpu', 'table', ['grid'], ['linear-3'], [0])
    assert '--amp' in pretraining.command(Path('t')) and '--amp' not in probe.command(Path('t'))


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(rows=['pixels']), 'there is no row pixels; there are random, random-backbone, grid'),
        (dict(probes=['linear-5']), 'there is no probe linear-5; there are linear-3, linear-8'),
        (
            dict(rows=['grid'], variant=Variant('v', {'train_dataloader.dataset.pipeline.Mask.ratio': 1})),
            'has 0 steps Mask there; its steps are Load, Regions',
        ),
        (
            dict(rows=['grid'], variant=Variant('v', {'train_dataloader.dataset.pipeline.Regions': 3})),
            'is a step of a pipeline: give one of its settings',
        ),
    ],
)
def test_what_is_not_there_is_named_with_what_is(benchmark, kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_plan(benchmark, WORK, 'cpu', 'table', **kwargs)


def test_settings_need_a_name_that_can_be_a_folder():
    with pytest.raises(ValueError, match='need a name'):
        Variant(None, {'a': 1})
    with pytest.raises(ValueError, match=r"named by letters.*got '\.\./up'"):
        Variant('../up', {'a': 1})


@pytest.mark.parametrize(
    'old, new, message',
    [
        ('title: on a grid', 'titel: on a grid', "row grid: unknown key 'titel'"),
        ('curve_probe: linear-8', 'curve_probe: linear-9', 'curve_probe is linear-9, there are linear-3, linear-8'),
        ('[[regions, grid]]', '[[regions, pixels]]', 'name pixels, which is no row'),
        ('run: regions, embedder: hyper', 'run: region, embedder: hyper', 'is of the run region, but no row has'),
        ('hypercolumns: random-backbone}', 'hyper: random-backbone}', 'baselines are of embedders.*got hyper'),
        ('baselines: {decoder: random, ', 'baselines: {decoder: [random], ', 'a baseline must be a text'),
        ('baselines: {decoder: random, ', 'baselines: {', 'row grid is pretrained, so that its embedder needs one of'),
        ('seeds: 2, curve: 2', 'seeds: three', "seeds must be a whole number, at least 1, got 'three'"),
        ('seeds: 2, curve: 2', 'seeds: -1', 'seeds must be a whole number, at least 1, got -1'),
        ('seeds: 2, curve: 2', 'curve: 0', 'curve must be a whole number, at least 1, got 0'),
        ('seeds: 2, curve: 2', 'step: zero', 'step must be a whole number, at least 0'),
        ('labelled: true', 'labelled: "no"', "labelled must be true or false, got 'no'"),
        ('options: {train_dataloader.dataset.pipeline.Regions.size: 1}', 'options:', 'options must be a mapping'),
        ('[[regions, grid]]', '[[regions, grid, random]]', 'comparisons must be a list of pairs'),
        ('[[regions, grid]]', '[[[regions], grid]]', 'comparisons must be a list of pairs'),
        ('{config: linear, options: {model.decode_head.num_filters: 3}}', '3', 'probe linear-3: must be a mapping'),
    ],
)
def test_a_file_that_makes_no_sense_says_where(tmp_path, old, new, message):
    file = write_benchmark(tmp_path)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_benchmark(file)
