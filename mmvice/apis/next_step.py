"""What to do with a training that has ended."""

import shlex
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner, find_latest_checkpoint

from mmvice.engine.loops import ClusterFitLoop
from mmvice.models import head_of

_IMAGES = 'path/to/images'


def next_step(cfg: Config, runner: Runner) -> str | None:
    """What a training has left, and the commands that look at it and measure it, each on a line of its own for a shell.

    They name the config in the work folder, which has what the command line has changed.

    Args:
        cfg: The config of the run.
        runner: Its Runner, after training.

    Returns:
        str: The lines; None where nothing was saved, or there is nothing to measure by.
    """
    checkpoint = find_latest_checkpoint(runner.work_dir)
    if checkpoint is None or cfg.filename is None:
        return None
    config = str(Path(runner.work_dir, Path(cfg.filename).name))
    steps = f'{runner.iter} step' + ('' if runner.iter == 1 else 's')
    done = 'Fitted' if isinstance(runner.train_loop, ClusterFitLoop) else f'Trained for {steps}'
    done = f'{done}: {checkpoint}.'
    head = head_of(runner.model)
    if head is not None:
        images = getattr(runner.train_dataloader.dataset, 'folders', [_IMAGES])[0]
        cut = [] if head.unit_concepts() is None else ['--concepts']
        look = _command('tools/visualization/embeddings.py', config, checkpoint, images, *cut)
        option = f'model.embedder_checkpoint={checkpoint}'
        probe = _command('tools/train.py', _probe(Path(cfg.filename)), '--cfg-options', option)
        return f'{done} See what it has learned:\n{look}\nMeasure it by a probe:\n{probe}'
    if cfg.get('test_dataloader') is not None:
        return f'{done} Measure it:\n{_command("tools/test.py", config, checkpoint)}'
    return None


def _probe(config: Path) -> str:
    """The linear probe that is meant for what a config trains, or a name to fill in."""
    folder = config.resolve().parents[1] / 'linear_probe'
    meant = [path for path in sorted(folder.glob('*.py')) if f'work_dirs/{config.stem}/' in path.read_text()]
    return f'configs/linear_probe/{meant[0].name if meant else "CONFIG.py"}'


def _command(*words: str) -> str:
    return shlex.join(['python', *map(str, words)])
