"""Which trainings the rows of tables need, with which settings, and where each of them lies."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmvice.utils.config_types import type_name

from .configs import load, placed, reads_embedder
from .fields import refuse, require_known
from .folders import checkpoints, seed_suffix
from .jobs import Job, shown
from .logs import read_pretraining
from .scaling import scale
from .tables import Experiments, Pictures, Pretraining, Row, Size, Source, Table
from .templates import fill, needs_pretraining


@dataclass(frozen=True, eq=False)
class Planner:
    """Makes the trainings of rows: of those rows, probes and seeds that are named, with settings that are tried."""

    experiments: Experiments
    work_dirs: Path
    size: Size
    split: str | None = None
    variant: str | None = None
    variant_options: Mapping[str, Any] = field(default_factory=dict)
    probe_options: Mapping[str, Any] = field(default_factory=dict)
    gpus: int | None = None
    images_per_gpu: int | None = None
    amp: bool = False
    rows: Sequence[str] | None = None
    probes: Sequence[str] | None = None
    seeds: Sequence[int] | None = None
    _known: dict[tuple, Job] = field(default_factory=dict, repr=False)
    _variants: dict[str | None, 'Planner'] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        experiments: Experiments,
        size: str | None = None,
        split: str | None = None,
        work_dirs: Path | None = None,
        **kwargs: Any,
    ) -> 'Planner':
        """A planner of a size and a split of the file, by default of the first ones.

        Raises:
            ValueError: If a size, split, row or probe is unknown, or settings have no name that can be a folder's.
        """
        rows, where = [row for table in experiments.tables.values() for row in table.rows], str(experiments.path)
        require_known(where, [size], {None: 0, **experiments.sizes}, 'size')
        require_known(where, [split], {None: 0, **experiments.splits}, 'split')
        require_known(where, kwargs.get('rows') or (), dict.fromkeys(row.name for row in rows), 'row')
        probes = dict.fromkeys(source.name for row in rows for source in row.sources)
        require_known(where, kwargs.get('probes') or (), probes, 'probe')
        name, tried = kwargs.get('variant'), kwargs.get('variant_options') or kwargs.get('probe_options')
        refuse('settings that are tried', {'need a name: --variant NAME KEY=VALUE ...': tried and name is None})
        wrong = name is not None and not re.fullmatch(r'[A-Za-z0-9][\w.+-]*', name)
        refuse('a variant', {f'is named by letters, digits and _ . + -, got {name!r}': wrong})
        chosen = experiments.sizes[size] if size else next(iter(experiments.sizes.values()))
        folder = experiments.work_dirs if work_dirs is None else work_dirs
        folder = folder / chosen.name if chosen.name else folder
        return cls(experiments, folder, chosen, split or next(iter(experiments.splits), None), **kwargs)

    def of_variant(self, name: str | None) -> 'Planner':
        """The same for settings that were tried under that name; None for the rows as they are."""
        if name == self.variant:
            return self
        if name not in self._variants:
            self._variants[name] = replace(self, variant=name, variant_options={}, probe_options={}, _known={})
        return self._variants[name]

    @property
    def shows_split(self) -> bool:
        """Whether the split is that of the tables."""
        return self.split == next(iter(self.experiments.splits), None)

    def rows_of(self, table: Table) -> list[Row]:
        """The rows that count, in the order in which they are named."""
        names = [row.name for row in table.rows] if self.rows is None else self.rows
        return sorted((row for row in table.rows if row.name in names), key=lambda row: names.index(row.name))

    def sources_of(self, row: Row) -> list[Source]:
        """The sources that count: probes are chosen, and a pretraining without them is trained for itself."""
        if self.probes is None:
            return list(row.sources)
        alone = [Source(None, {}, row.pretraining)] if row.pretraining is not None else []
        return [*alone, *(source for source in row.sources if source.probe is None or source.name in self.probes)]

    def seeds_of(self, row: Row) -> list[int]:
        """The seeds that count."""
        return list(range(row.seeds) if self.seeds is None else self.seeds)

    def jobs(self, tables: Iterable[Table]) -> list[Job]:
        """The trainings, each after the one that it needs, a seed of all rows before the next one."""
        rows = [(seed, table, row) for table in tables for row in self.rows_of(table) for seed in self.seeds_of(row)]
        rows.sort(key=lambda each: each[0])
        found = [job for seed, table, row in rows for job in self.row_jobs(table, row, seed)]
        if self.rows is None and self.probes is None:
            found += [job for table in tables for pictures in table.pictures for job in self.picture_jobs(pictures)]
        return list(dict.fromkeys(found))

    def row_jobs(self, table: Table, row: Row, seed: int) -> Iterator[Job]:
        """The trainings of a row with a seed; of a curve, as far as its checkpoints are known."""
        for source in self.sources_of(row):
            if needs_pretraining(source):
                yield self.pretraining(source.pretraining, seed)
            if source.probe is not None:
                for step in (*(self.curve_steps(table, row, source, seed) or ()), None):
                    yield self.probe(source, seed, step)

    def picture_jobs(self, pictures: Pictures) -> Iterator[Job]:
        """The trainings that pictures show, apart from those of rows."""
        source = pictures.source
        if source is not None and needs_pretraining(source, pictures.commands):
            yield self.pretraining(source.pretraining, 0)
        if source is not None and source.probe is not None:
            yield self.probe(source, 0)

    def folder(self, source: Source | Pretraining, seed: int) -> Path:
        """Folder whose seeds are those of a source: of the pretraining, or of a probe without one."""
        own = source if isinstance(source, Pretraining) else source.pretraining
        name = own.run if own is not None else source.run or self._probe_folder(source)
        tried = f'@{self.variant}' if self.variant else ''
        tuned = f'_{self.split}' if own is not None and own.labelled and not self.shows_split else ''
        return self.work_dirs / f'{name}{tried}{tuned}{seed_suffix(seed)}'

    def source_folder(self, source: Source, seed: int) -> Path:
        """Where a probe lies, or the pretraining of a source that has no probe."""
        folder = self.folder(source, seed)
        inside = source.probe is not None and (source.pretraining is not None or source.run is not None)
        return folder / self._probe_folder(source) if inside else folder

    def pretraining(self, own: Pretraining, seed: int) -> Job:
        """A pretraining."""
        key = (id(own), seed)
        if key not in self._known:
            config = self._config(own.config, own.labelled)
            options = {**placed(config, self.variant_options), **placed(config, own.options), 'randomness.seed': seed}
            points = self.experiments.curve_of(own.run) if seed == 0 and self.variant is None else 0
            if points:
                steps = load(config, options).train_cfg.max_iters
                options['default_hooks.checkpoint.interval'] = max(steps // points, 1)
                options['default_hooks.checkpoint.max_keep_ckpts'] = -1
            scaling = scale(load(config, options), self.gpus, self.images_per_gpu)
            split, amp = self.split if own.labelled else None, self.size.amp or self.amp
            of = (self.size, split, own.run, seed, self.variant, config, options, self.folder(own, seed))
            self._known[key] = self._alone(Job(*of, self.variant_options, amp=amp, scaling=scaling))
        return self._known[key]

    def probe(self, source: Source, seed: int, step: int | None = None) -> Job:
        """A probe; of another step than its own, where one is given."""
        key = (id(source), seed, step)
        if key not in self._known:
            config, folder = self._config(source.probe, True), self.source_folder(source, seed)
            needs = None if source.pretraining is None else self.pretraining(source.pretraining, seed)
            checkpoint = None if needs is None else self._checkpoint(source.pretraining, needs, step)
            places = self.places(source, seed)
            own = {k: v.format(**places) if isinstance(v, str) else v for k, v in source.options.items()}
            tried = placed(config, self.probe_options)
            options = {**self._architecture(source), **placed(config, own), **tried, 'randomness.seed': seed}
            cfg = load(config, options)
            if type_name(cfg.train_cfg) == 'ClusterFitLoop':
                options['train_cfg.seed'] = seed
            if needs is not None and reads_embedder(cfg):
                options['model.embedder_checkpoint'] = str(checkpoint)
                dims = needs.cfg.model.get('decoder', {}).get('embed_dims')
                if dims is not None and cfg.model.decoder.get('embed_dims', dims) != dims:
                    options['model.decoder.embed_dims'] = dims
            run = source.run or (source.name if needs is None else needs.run)
            folder = folder if step is None else folder.with_name(f'{folder.name}_iter-{step}')
            pictured = source.name in self.experiments.pictured and (seed, step, self.variant) == (0, None, None)
            job = Job(
                *(self.size, self.split, run, seed, self.variant, config, options, folder),
                *(self.variant_options, self.probe_options, source.name, source.embedder, step, needs, checkpoint),
                keep_weights=pictured or not self.experiments.remove_weights,
                before=[fill(template, places) for template in source.before],
            )
            self._known[key] = self._alone(job)
        return self._known[key]

    def curve_steps(self, table: Table, row: Row, source: Source, seed: int) -> list[int] | None:
        """Steps before the last one whose checkpoints are probed; None while nobody knows them."""
        plotted = table.plot is not None and table.plot.y in source.columns and source.pretraining is not None
        asked = row.curve is True or (row.curve and seed == 0)
        if not plotted or not asked or self.variant or not self.shows_split:
            return []
        job = self.pretraining(source.pretraining, seed)
        cfg = job.cfg
        if 'max_iters' in cfg.train_cfg:
            interval = cfg.default_hooks.checkpoint.interval
            return list(range(interval, cfg.train_cfg.max_iters, interval))
        run = read_pretraining(job.folder, cfg)
        return list(checkpoints(job.folder))[:-1] if run is not None and run.finished else None

    def places(self, source: Source, seed: int) -> dict[str, str]:
        """What the names in braces of a template stand for."""
        found, own = {'seed': str(seed), 'work_dirs': str(self.work_dirs)}, source.pretraining
        if own is not None:
            found.update(config=shown(self._config(own.config, own.labelled)), run=str(self.folder(own, seed)))
        if source.probe is not None:
            folder = self.source_folder(source, seed)
            found.update(probe_config=shown(self._config(source.probe, True)), probe_run=str(folder))
        return found

    def _probe_folder(self, source: Source) -> str:
        return '_'.join(part for part in (self.split, source.embedder, source.name) if part)

    def _config(self, name: str, of_split: bool) -> Path:
        return self.size.configs / f'{name}{self.experiments.splits.get(self.split, "") if of_split else ""}.py'

    def _checkpoint(self, own: Pretraining, job: Job, step: int | None) -> Path:
        last = job.cfg.train_cfg.get('max_iters')
        probed = next((choice for choice in (step, own.step, last) if choice is not None), None)
        return job.folder if probed is None else job.folder / f'iter_{probed}.pth'

    def _architecture(self, source: Source) -> dict[str, Any]:
        """What of the pretraining's settings concerns the network that is probed."""
        parts = [part for part in ('model.backbone', 'model.decoder') if f'{part}._delete_' not in source.options]
        options = {} if source.pretraining is None else {**self.variant_options, **source.pretraining.options}
        return {key: value for key, value in options.items() if key.startswith(tuple(f'{part}.' for part in parts))}

    def _alone(self, job: Job) -> Job:
        """The job, or the same one of another row; a ValueError if another one would write into its folder."""
        other = self._known.setdefault((job.folder,), job)
        same = (other.config, other.options, other.run) == (job.config, job.options, job.run)
        refuse(job.name, {f'shares the folder {job.folder} with {other.name}, of other settings': not same})
        return other
