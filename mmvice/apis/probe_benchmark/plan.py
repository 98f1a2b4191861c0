"""Which trainings a benchmark consists of, in what order, and where each of them lies."""

import copy
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmvice.apis.paper.configs import setting
from mmvice.utils.config_types import type_name

from .reader import Benchmark, Probe, Row

SPLITS = ('tune', 'table')
SIZES = ('cpu', 'gpu')
RESULT = 'result.json'
_DECISIVE = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'randomness')
_DECISIVE += ('val_dataloader', 'val_evaluator', 'val_cfg')


@dataclass(frozen=True)
class Variant:
    """Settings of the pretraining that are tried, and a name for them; without a name, the benchmark as it is."""

    name: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name is None and self.options:
            raise ValueError('settings that are tried need a name: --variant NAME KEY=VALUE ...')
        if self.name is not None and not re.fullmatch(r'[A-Za-z0-9][\w.+-]*', self.name):
            raise ValueError(f'a variant is named by letters, digits and _ . + -, got {self.name!r}')


@dataclass(frozen=True, eq=False)
class Job:
    """One training: a pretraining, or a probe.

    Attributes:
        size, split, run, seed, variant: What it is of.
        probe: Name of the probe; None for a pretraining.
        embedder: What the probe is on.
        step: Step of the checkpoint that is probed, where the table asks for others than that of the row.
        config: Config file.
        options: Settings that differ from it, by their places in the config.
        tried: Those of them that are tried, in a probe.
        folder: Work folder.
        needs: The pretraining that comes before.
        checkpoint: The checkpoint of it that is probed.
        keep_weights: Whether its checkpoints are needed when it has been measured.
    """

    size: str
    split: str
    run: str
    seed: int
    variant: Variant
    probe: str | None
    embedder: str | None
    step: int | None
    config: Path
    options: Mapping[str, Any]
    folder: Path
    needs: 'Job | None' = None
    checkpoint: Path | None = None
    keep_weights: bool = True
    tried: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What it is called in messages."""
        variant = f'@{self.variant.name}' if self.variant.name else ''
        what = 'pretraining' if self.probe is None else f'{self.split} {self.embedder} {self.probe}'
        return f'{self.run}{variant} seed {self.seed}: {what}' + ('' if self.step is None else f' of step {self.step}')

    @property
    def kind(self) -> str:
        """Jobs of one kind take about as long."""
        return f'{self.config.stem} {self.embedder} {self.probe}'

    @property
    def amp(self) -> bool:
        """Whether it runs in mixed precision, as the authors pretrained."""
        return self.size == 'gpu' and self.probe is None

    @property
    def result_file(self) -> Path:
        """Where its result goes."""
        return self.folder / RESULT

    def load_config(self) -> Config:
        """The config with the settings."""
        return merged(self.config, self.options)

    @cached_property
    def fingerprint(self) -> str:
        """What tells apart trainings of other settings: a hash of all that has a say in the numbers."""
        cfg = self.load_config().to_dict()
        content = {name: cfg.get(name) for name in _DECISIVE}
        if self.needs is not None:
            content['model']['embedder_checkpoint'] = [self.needs.fingerprint, self.checkpoint.name]
        text = json.dumps(content, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def command(self, train: Path) -> list[str]:
        """Arguments of Python: the tool and its own."""
        settings = [setting(key, value) for key, value in self.options.items()]
        precision = ['--amp'] if self.amp else []
        start = [str(train), shown(self.config), '--work-dir', str(self.folder), '--resume', *precision]
        return [*start, '--cfg-options', *settings]


def shown(path: Path) -> str:
    """A path below the current folder from there, so that commands are short."""
    resolved, here = path.resolve(), Path.cwd().resolve()
    return (resolved.relative_to(here) if resolved.is_relative_to(here) else path).as_posix()


def make_plan(
    benchmark: Benchmark,
    work_dir: Path,
    size: str,
    split: str,
    rows: Sequence[str] | None = None,
    probes: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    variant: Variant | None = None,
    probe_options: Mapping[str, Any] | None = None,
) -> list[Job]:
    """The trainings, each after the one that it needs, a seed of all rows before the next one.

    Args:
        benchmark: The benchmark.
        work_dir: Folder of all its runs.
        size: 'cpu' or 'gpu'.
        split: 'tune' measures on a part of the training images, 'table' on the validation images.
        rows: Names of rows; None for all.
        probes: Names of probes; None for all, an empty list for the pretraining alone.
        seeds: Seeds; None for those of each row.
        variant: Settings of the pretraining to try.
        probe_options: Settings of all probes.

    Raises:
        ValueError: If a name is unknown, or a setting is not there to be changed.
    """
    chosen = benchmark.select(rows)
    picked = benchmark.select_probes(probes)
    planner = _Planner(benchmark, work_dir, size, split, variant or Variant(), probe_options or {})
    numbers = sorted({seed for row in chosen for seed in (range(row.seeds) if seeds is None else seeds)})
    jobs: dict[Path, Job] = {}
    for seed in numbers:
        for row in chosen:
            if seeds is None and seed >= row.seeds:
                continue
            pretraining = planner.pretraining(row, seed)
            if pretraining is not None:
                pretraining = jobs.setdefault(pretraining.folder, pretraining)  # rows may share one
            for probe in picked:
                for step in (*planner.curve_steps(row, pretraining, probe), None):
                    job = planner.probe(row, seed, pretraining, probe, step)
                    jobs.setdefault(job.folder, job)
    return list(jobs.values())


@dataclass(frozen=True)
class _Planner:
    """Makes the trainings of a plan; attributes are the arguments of `make_plan`."""

    benchmark: Benchmark
    work_dir: Path
    size: str
    split: str
    variant: Variant
    probe_options: Mapping[str, Any]

    def folder(self, row: Row, seed: int) -> Path:
        """Where all trainings of a row with that seed lie."""
        name = f'{row.run}@{self.variant.name}' if self.variant.name else row.run
        return self.work_dir / self.size / name / f'seed-{seed}'

    def pretraining(self, row: Row, seed: int) -> Job | None:
        """The pretraining of a row, None if it has none."""
        owner = self.benchmark.owner(row)
        if owner.pretrain is None:
            return None
        tuned = owner.labelled and self.split == 'tune'
        config = self.benchmark.config(self.size, f'{owner.pretrain}_tune' if tuned else owner.pretrain)
        options = {**placed(config, self.variant.options), **placed(config, owner.options), 'randomness.seed': seed}
        if self.has_curve(owner, seed):
            steps = merged(config, options).train_cfg.max_iters
            options['default_hooks.checkpoint.interval'] = max(steps // owner.curve, 1)
            options['default_hooks.checkpoint.max_keep_ckpts'] = -1
        folder = self.folder(row, seed) / ('pretraining_tune' if tuned else 'pretraining')
        return Job(self.size, self.split, row.run, seed, self.variant, None, None, None, config, options, folder)

    def has_curve(self, row: Row, seed: int) -> bool:
        """Whether checkpoints on the way are kept, to be probed."""
        return bool(row.curve) and seed == 0 and self.variant.name is None

    def curve_steps(self, row: Row, pretraining: Job | None, probe: Probe) -> list[int]:
        """Steps before the last one whose checkpoints are probed."""
        if pretraining is None or self.split != 'table' or probe.name != self.benchmark.curve_probe:
            return []
        if not self.has_curve(row, pretraining.seed):
            return []
        cfg = pretraining.load_config()
        interval = cfg.default_hooks.checkpoint.interval
        return list(range(interval, cfg.train_cfg.max_iters, interval))

    def probe(self, row: Row, seed: int, pretraining: Job | None, probe: Probe, step: int | None) -> Job:
        """A probe of a row; of another step than its own, where one is given."""
        config = self.benchmark.config(self.size, f'{probe.config}_tune' if self.split == 'tune' else probe.config)
        embedder = self.benchmark.embedders[row.embedder]
        tried = placed(config, self.probe_options)
        options = {**self._architecture(row), **embedder, **probe.options, **tried, 'randomness.seed': seed}
        if type_name(merged(config, {}).train_cfg) == 'ClusterFitLoop':
            options['train_cfg.seed'] = seed
        checkpoint = None
        if pretraining is not None:
            last = pretraining.load_config().train_cfg.max_iters
            probed = next(choice for choice in (step, row.step, last) if choice is not None)
            checkpoint = pretraining.folder / f'iter_{probed}.pth'
            options['model.embedder_checkpoint'] = str(checkpoint)
        name = f'{row.embedder}_{probe.name}' + ('' if step is None else f'_iter-{step}')
        of_pictures = probe.name == self.benchmark.curve_probe and seed == 0 and step is None
        return Job(
            size=self.size,
            split=self.split,
            run=row.run,
            seed=seed,
            variant=self.variant,
            probe=probe.name,
            embedder=row.embedder,
            step=step,
            config=config,
            options=options,
            folder=self.folder(row, seed) / self.split / name,
            needs=pretraining,
            checkpoint=checkpoint,
            keep_weights=of_pictures and self.variant.name is None,
            tried=self.probe_options,
        )

    def _architecture(self, row: Row) -> dict[str, Any]:
        """What of the pretraining's settings concerns the network that is probed."""
        parts = {'decoder': ('model.backbone.', 'model.decoder.'), 'hypercolumns': ('model.backbone.',)}
        options = {**self.variant.options, **self.benchmark.owner(row).options}
        return {key: value for key, value in options.items() if key.startswith(parts.get(row.embedder, ()))}


@lru_cache(maxsize=64)
def _load(file: Path) -> Config:
    return Config.fromfile(file, import_custom_modules=False)


def merged(file: Path, options: Mapping[str, Any]) -> Config:
    """A config file with settings changed."""
    cfg = Config(copy.deepcopy(_load(file)._cfg_dict.to_dict()))
    cfg.merge_from_dict(copy.deepcopy(dict(options)))
    return cfg


def placed(file: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with the steps of a pipeline, which may go by their types, at their places.

    Raises:
        ValueError: If there is no such step, or several, or a step itself is to be something else.
    """
    places = {key: _place(file, key) for key in options}
    for key, place in places.items():
        words = place.split('.')
        if words[-1].isdigit() and words[-2] == 'pipeline' and not isinstance(options[key], Mapping):
            raise ValueError(f'{key} is a step of a pipeline: give one of its settings, {key}.SETTING=VALUE')
    return {places[key]: value for key, value in options.items()}


def _place(file: Path, key: str) -> str:
    part: Any = _load(file)._cfg_dict
    words = key.split('.')
    for i, word in enumerate(words):
        if not isinstance(part, (list, tuple, dict)):
            raise ValueError(f'{key}: {file} has no {".".join(words[:i])} to be changed')
        if isinstance(part, (list, tuple)) and not word.isdigit():
            places = [place for place, step in enumerate(part) if word in (step.get('type'), type_name(step))]
            if len(places) != 1:
                there = ', '.join(type_name(step) for step in part)
                raise ValueError(f'{key}: {file} has {len(places)} steps {word} there; its steps are {there}')
            words[i] = str(places[0])
        if isinstance(part, (list, tuple)):
            part = part[int(words[i])] if int(words[i]) < len(part) else None
        else:
            part = part.get(word) if hasattr(part, 'get') else None
    return '.'.join(words)
