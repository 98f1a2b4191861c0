"""The next commands after a training."""

import shlex
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner, find_latest_checkpoint

from mmvice.engine.loops import ClusterFitLoop
from mmvice.models import head_of
from mmvice.utils.counts import counted

_IMAGES, _PROBE = 'path/to/images', 'path/to/probe.py'


def next_step(cfg: Config, runner: Runner) -> str | None:
    """The results of a training, and the shell commands that show and measure them, each on its own line.

    They name the config in the work folder, which includes the changes of the command line.

    Args:
        cfg: The config of the run.
        runner: Its Runner, after training.

    Returns:
        str: The lines; None if nothing was saved, or no probe fits.
    """
    checkpoint = find_latest_checkpoint(runner.work_dir)
    if checkpoint is None or cfg.filename is None:
        return None
    config = str(Path(runner.work_dir, Path(cfg.filename).name))
    fitted = isinstance(runner.train_loop, ClusterFitLoop)
    done = 'Fitted' if fitted else f'Trained for {counted(runner.iter, "step")}'
    done = f'{done}: {checkpoint}.'
    head = head_of(runner.model)
    if head is not None:
        folders = getattr(runner.train_dataloader.dataset, 'folders', None)
        images = folders[0] if folders else _IMAGES
        which = '' if folders else f' (put the folder of your images in the place of {_IMAGES})'
        cut = [] if head.unit_concepts() is None else ['--concepts']
        look = _command('tools/visualization/embeddings.py', config, checkpoint, images, *cut)
        option = f'model.embedder_checkpoint={checkpoint}'
        meant = _probe(Path(cfg.filename))
        how = '' if meant else f' (put the config of a probe for this embedder in the place of {_PROBE})'
        probe = _command('tools/train.py', meant or _PROBE, '--cfg-options', option)
        return f'{done} See what it has learned{which}:\n{look}\nMeasure it by a probe{how}:\n{probe}'
    if cfg.get('test_dataloader') is not None:
        return f'{done} Measure it:\n{_command("tools/test.py", config, checkpoint)}'
    return None


def _probe(config: Path) -> Path | None:
    """The linear probe's config for a pretraining config; None if there is none."""
    folder = config.resolve().parents[1] / 'linear_probe'
    meant = [path for path in sorted(folder.glob('*.py')) if f'work_dirs/{config.stem}/' in path.read_text()]
    if not meant:
        return None
    return meant[0].relative_to(Path.cwd()) if meant[0].is_relative_to(Path.cwd()) else meant[0]


def _command(*words: str) -> str:
    return shlex.join(['python', *map(str, words)])
