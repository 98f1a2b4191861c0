"""A training: what it is of, its settings, its command, and what tells it from others."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .configs import load, setting
from .scaling import Scaling
from .tables import Size

_DECISIVE = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'randomness')
_DECISIVE += ('val_dataloader', 'val_evaluator', 'val_cfg')


@dataclass(frozen=True, eq=False)
class Job:
    """One training: a pretraining, or a probe.

    Attributes:
        options: Settings that differ from the config, by their places in it.
        variant, variant_options, probe_options: Those of them that are tried, and a name for them.
        step: Step of the checkpoint that is probed, where it is not the row's own.
        needs, checkpoint: The pretraining that comes before, and what is probed of it; its folder for the last one.
        keep_weights: Whether its checkpoints are needed when it has been measured.
        before: Shell lines to run before it.
    """

    size: Size
    split: str | None
    run: str
    seed: int
    variant: str | None
    config: Path
    options: Mapping[str, Any]
    folder: Path
    variant_options: Mapping[str, Any] = field(default_factory=dict)
    probe_options: Mapping[str, Any] = field(default_factory=dict)
    probe: str | None = None
    embedder: str | None = None
    step: int | None = None
    needs: 'Job | None' = None
    checkpoint: Path | None = None
    keep_weights: bool = True
    before: Sequence[str] = ()
    amp: bool = False
    scaling: Scaling = Scaling()

    @property
    def key(self) -> tuple:
        """What its result is of: size, split, run, variant, seed, probe, embedder and step."""
        return self.size.name, self.split, self.run, self.variant, self.seed, self.probe, self.embedder, self.step

    @property
    def name(self) -> str:
        """What it is called in messages."""
        run = f'{self.run}@{self.variant}' if self.variant else self.run
        words = ['pretraining'] if self.probe is None else [self.split, self.embedder, self.probe]
        of_step = '' if self.step is None else f' of step {self.step}'
        return f'{run} seed {self.seed}: {" ".join(word for word in words if word)}{of_step}'

    @property
    def kind(self) -> str:
        """Jobs of one kind take about as long."""
        return f'{self.config.stem} {self.embedder} {self.probe}'

    @property
    def result_file(self) -> Path:
        """Where its result goes."""
        return self.folder / 'result.json'

    def load_config(self) -> Config:
        """The config with the settings."""
        return load(self.config, self.options)

    @cached_property
    def cfg(self) -> Config:
        """The same, to be read only."""
        return self.load_config()

    @cached_property
    def fingerprint(self) -> str:
        """What tells apart trainings of other settings: a hash of all that has a say in the numbers, but the GPUs."""
        cfg = self.cfg.to_dict()
        content = {name: cfg.get(name) for name in _DECISIVE}
        if self.needs is not None:
            name = 'last' if self.checkpoint == self.needs.folder else self.checkpoint.name
            content['model']['embedder_checkpoint'] = [self.needs.fingerprint, name]
        text = json.dumps(content, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def command(self, train: Path = Path('tools/train.py'), python: str = 'python') -> list[str]:
        """Words of the shell: the tool and its arguments."""
        gpus = self.scaling.gpus
        start = [python, str(train)] if gpus == 1 else ['bash', str(train.with_name('dist_train.sh'))]
        words = [*start, shown(self.config), *([str(gpus)] if gpus > 1 else [])]
        words += ['--work-dir', str(self.folder), '--resume', *(['--amp'] if self.amp else [])]
        words += ['--auto-scale-lr'] if self.scaling.scaled else []
        options = {**self.scaling.options, **self.options}
        return [*words, '--cfg-options', *(setting(key, value) for key, value in options.items())]


def shown(path: Path) -> str:
    """A path below the current folder from there, so that commands are short."""
    resolved, here = path.resolve(), Path.cwd().resolve()
    return (resolved.relative_to(here) if resolved.is_relative_to(here) else path).as_posix()
