"""The quickstart from the command line to its report, with few steps and scenes."""

import json
import re
import runpy
import shlex
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from mmengine.runner import CheckpointLoader

from mmvice.experiments.quickstart import Quickstart, clear_stage, commands
from mmvice.utils.checkpoint import load_checkpoint_file

TOOL = Path(__file__).parents[2] / 'tools' / 'quickstart.py'
LOADER = 'train_dataloader.batch_size=2 train_dataloader.num_workers=0 train_dataloader.persistent_workers=False'
ARGUMENTS = [
    *'--work-dir runs --steps 6 --probe-steps 4 --pretrain-options'.split(),
    *f'train_dataloader.dataset.num_scenes=6 default_hooks.checkpoint.interval=3 {LOADER}'.split(),
    *'--probe-options train_dataloader.dataset.num_scenes=6 test_dataloader.dataset.num_scenes=3'.split(),
    *LOADER.split(),
]
STAGES = ('vice', 'vice_linear', 'vice_cluster', 'random_init_linear', 'random_init_cluster')


class Page(HTMLParser):
    """All addresses that a page asks for, and its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ('src', 'srcset', 'href', 'data', 'poster')]


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which the quickstart has been run."""
    folder = tmp_path_factory.mktemp('quickstart')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
        for name, value in dict(CUDA_VISIBLE_DEVICES='', LOCAL_RANK='0', TORCH_FORCE_WEIGHTS_ONLY_LOAD='0').items():
            patch.setenv(name, value)
        quickstart()
        yield folder / 'runs'


def quickstart(*more: str) -> None:
    runpy.run_path(str(TOOL))['main']([*ARGUMENTS, *more])


def numbers(folder: Path) -> dict:
    return json.loads((folder / 'report.json').read_text())


def weights(file: Path, *parts: str) -> dict[str, torch.Tensor]:
    state = load_checkpoint_file(file)['state_dict']
    return {name: value for name, value in state.items() if name.startswith(parts)}


def written(folder: Path) -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in folder.glob('*/*.pth')}


def assert_same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys() and first
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_the_numbers_are_those_of_the_tests(folder):
    found = numbers(folder)
    assert {'vice', 'random_init'} <= found.keys()
    for network in ('vice', 'random_init'):
        assert found[network].keys() == {'linear', 'cluster'}
        for probe, scores in found[network].items():
            [log] = (folder / f'{network}_{probe}').glob('*/*.log')
            logged = re.search(r'Iter\(test\).*aAcc: ([\d.]+)  mIoU: ([\d.]+)  mAcc: ([\d.]+)', log.read_text())
            assert [scores[key] for key in ('aAcc', 'mIoU', 'mAcc')] == [float(value) for value in logged.groups()]
            of_classes = [of['IoU'] for of in scores['per_class'].values()]
            assert len(of_classes) == 8
            assert sum(of_classes) / 8 == pytest.approx(scores['mIoU'], abs=0.02)
    assert found['settings']['held_out_scenes'] == 3
    assert found['settings']['steps'] == 6
    assert found['seconds'].keys() == {*STAGES, 'report'}


def test_the_page_asks_for_nothing_and_shows_the_numbers(folder):
    text = (folder / 'report.html').read_text()
    page = Page(text)
    assert not {'script', 'link', 'iframe', 'object', 'embed'} & set(page.tags)
    assert all(address.startswith('data:image/') for address in page.addresses)
    assert 'url(' not in text and '@import' not in text and '://' not in re.sub(r'base64,[^"]*', '', text)
    assert page.tags.count('svg') == 5
    assert page.tags.count('img') == 2 + 3 * (2 + 2 * 4)
    found = numbers(folder)
    for network in ('vice', 'random_init'):
        for scores in found[network].values():
            assert f'{scores["mIoU"]:.2f}' in text
    assert found['verdict']['headline'] in text


def test_both_probes_measure_the_same_embedder(folder):
    parts = ('backbone.', 'decoder.')
    trained = weights(folder / 'vice/iter_6.pth', *parts)
    assert_same(trained, weights(folder / 'vice_linear/iter_4.pth', *parts))
    assert_same(trained, weights(folder / 'vice_cluster/epoch_1.pth', *parts))
    random = weights(folder / 'random_init_linear/iter_4.pth', *parts)
    assert_same(random, weights(folder / 'random_init_cluster/epoch_1.pth', *parts))
    assert_same(random, weights(folder / 'vice/initial.pth', *parts))
    assert not torch.equal(random['decoder.laterals.0.weight'], trained['decoder.laterals.0.weight'])


def test_a_second_run_trains_nothing(folder, capsys):
    before, found = written(folder), numbers(folder)
    quickstart()
    assert written(folder) == before
    assert capsys.readouterr().out.count('already done') == len(STAGES)
    again = numbers(folder)
    assert [again[network] for network in ('vice', 'random_init')] == [found[n] for n in ('vice', 'random_init')]


def test_a_broken_off_pretraining_goes_on_and_ends_alike(folder, capsys):
    whole = weights(folder / 'vice/iter_6.pth', 'backbone.', 'decoder.', 'head.')
    record = folder / 'vice/stage.json'
    known = json.loads(record.read_text())
    del known['result']
    record.write_text(json.dumps(known))
    (folder / 'vice/iter_6.pth').unlink()
    (folder / 'vice/last_checkpoint').write_text(str(folder / 'vice/iter_3.pth'))
    quickstart()
    printed = capsys.readouterr().out
    assert 'going on from step 3' in printed
    assert printed.count('already done') == 4  # the same weights, the same probes
    assert_same(whole, weights(folder / 'vice/iter_6.pth', 'backbone.', 'decoder.', 'head.'))


def test_steps_are_the_length_of_the_schedules():
    start = Quickstart(configs=TOOL.parents[1] / 'configs', work_dir=Path('runs'), steps=7, probe_steps=5)
    pretraining = start.pretraining_config()
    assert pretraining.train_cfg.max_iters == 7
    probe = start.probe_config('vice', 'linear', pretraining)
    assert probe.train_cfg.max_iters == 5
    # the Runner gives schedules without an end that of the training
    assert not any('end' in schedule for cfg in (pretraining, probe) for schedule in cfg.param_scheduler)


def test_folders_of_others_are_not_deleted(tmp_path):
    (tmp_path / 'vice').mkdir()
    (tmp_path / 'vice/mine.txt').touch()
    with pytest.raises(FileExistsError, match='--work-dir'):
        clear_stage(tmp_path / 'vice')
    assert (tmp_path / 'vice/mine.txt').exists()


def test_what_to_do_next_names_files_that_exist():
    words = ' '.join(lines for _, lines in commands(Path('runs/vice/iter_400.pth'))).split()
    named = [word for word in words if word.startswith(('configs/', 'tools/'))]
    assert len(named) > 6
    assert [name for name in named if not (TOOL.parents[1] / name).is_file()] == []


def test_help_names_every_argument(capsys: pytest.CaptureFixture[str]):
    main: Callable = runpy.run_path(str(TOOL))['main']
    with pytest.raises(SystemExit) as stop:
        main(['--help'])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    options = ['--work-dir', '--fresh', '--steps', '--probe-steps', '--device', '--threads', '--pretrain-options']
    assert [option for option in options if option not in text] == []


@pytest.mark.parametrize('folder', ['my runs', "it's", 'a;b', '$HOME'])
def test_the_commands_of_the_report_are_quoted_for_a_shell(folder):
    checkpoint = Path(folder, 'vice', 'iter_400.pth')
    [lines] = [lines for _, lines in commands(checkpoint) if 'iter_400' in lines]
    assert str(checkpoint) in shlex.split(lines.replace('\\\n', ''))


@pytest.mark.slow
def test_the_quickstart_runs_on_an_encoder(tmp_path, monkeypatch):
    timm = pytest.importorskip('timm')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    for name, value in dict(CUDA_VISIBLE_DEVICES='', LOCAL_RANK='0', TORCH_FORCE_WEIGHTS_ONLY_LOAD='0').items():
        monkeypatch.setenv(name, value)
    encoder = timm.create_model('test_efficientnet')
    torch.save(encoder.state_dict(), 'test_efficientnet-1234.pth')
    small = 'train_dataloader.dataset.size=[96,128]'
    runpy.run_path(str(TOOL))['main'](
        [
            *'--work-dir runs --encoder test_efficientnet-1234.pth --steps 2 --probe-steps 2'.split(),
            '--pretrain-options',
            *f'train_dataloader.dataset.num_scenes=4 {small} {LOADER}'.split(),
            '--probe-options',
            *f'train_dataloader.dataset.num_scenes=4 test_dataloader.dataset.num_scenes=2 {small} {LOADER}'.split(),
            'test_dataloader.dataset.size=[96,128]',
        ]
    )
    for stage in ('vice/iter_2', 'random_init_linear/iter_2', 'vice_cluster/epoch_1'):
        kept = weights(Path('runs', f'{stage}.pth'), 'backbone.')
        assert all(
            torch.equal(kept[f'backbone.model.{name}'], value)
            for name, value in encoder.state_dict().items()
            if not name.startswith('classifier')
        )
    before, after = (weights(Path('runs/vice', name), 'decoder.') for name in ('initial.pth', 'iter_2.pth'))
    assert all((before[name] != after[name]).any() for name in before)
    assert 'test_efficientnet, which stays as it is' in Path('runs/report.html').read_text()
    assert numbers(Path('runs'))['settings']['encoder'] == 'test_efficientnet'
