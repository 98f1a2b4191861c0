"""The quickstart: pretraining on procedural scenes, probes of the network before and after, and a report."""

import hashlib
import json
import logging
import os
import platform
import shlex
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, get_state_dict, save_checkpoint

from mmvice.apis import build_runner, use_resume
from mmvice.apis.inference import embed_image, init_model
from mmvice.datasets.seeded_sampling import SeededIndex
from mmvice.engine import ViCERunner
from mmvice.evaluation import part_of_classes
from mmvice.registry import DATASETS, RUNNERS
from mmvice.utils.checkpoint import load_checkpoint_file
from mmvice.version import __version__
from mmvice.visualization import EmbeddingClusters, EmbeddingPCA, draw_labels, draw_sample, palette, sample_embeddings
from mmvice.visualization.report import Curves, ReportContent, Scene, Verdict, judge, report_page

from .encoder import folder_config, use_encoder

PRETRAINING = 'vice/vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py'
PROBES = {
    ('vice', 'linear'): 'linear_probe/vice_r18-w32_light-fpn_linear-64-200_synthetic-96x128.py',
    ('vice', 'cluster'): 'cluster_probe/vice_r18-w32_light-fpn_cluster-64_synthetic-96x128.py',
    ('random_init', 'linear'): 'linear_probe/random-init_r18-w32_light-fpn_linear-64-200_synthetic-96x128.py',
    ('random_init', 'cluster'): 'cluster_probe/random-init_r18-w32_light-fpn_cluster-64_synthetic-96x128.py',
}
INITIAL = 'initial.pth'
NUM_STAGES = 2 + len(PROBES)
NUM_VIEW_PICTURES, NUM_SCENES, PCA_PIXELS = 2, 6, 30_000
CURVES = ('loss', 'concepts_used', 'concept_perplexity', 'assignment_entropy', 'embedding_spread')


@RUNNERS.register_module()
class QuietRunner(ViCERunner):
    """A Runner whose console shows warnings only; the log file has everything, as always."""

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """Build the logger, and quieten its console."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.WARNING)
        return logger


class ProgressHook(Hook):
    """Prints a line about every twentieth part of a training.

    Args:
        names (Sequence[str]): Logged values to print.
        lines (int): Number of lines. Defaults to 20.
    """

    priority = 'VERY_LOW'

    def __init__(self, names: Sequence[str], lines: int = 20) -> None:
        self.names = names
        self.lines = lines

    def before_train(self, runner: Runner) -> None:
        """Start the clock."""
        self.started, self.start = time.monotonic(), runner.iter
        if self.start:
            say(f'going on from step {self.start}')

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs: dict | None = None) -> None:
        """Print where training is."""
        step, last = runner.iter + 1, runner.max_iters
        if step % max(last // self.lines, 1) and step != last:
            return
        seconds = (time.monotonic() - self.started) / (step - self.start)
        shown = [(name, torch.as_tensor(outputs[name]).item()) for name in self.names if name in (outputs or {})]
        values = '  '.join(f'{name} {value:.3f}' for name, value in shown)
        left = time.strftime('%M:%S', time.gmtime(seconds * (last - step)))
        say(f'step {step:>{len(str(last))}}/{last}  {values}  {seconds:.2f} s a step, {left} left')


class InitialWeightsHook(Hook):
    """Saves the network as it is before the first step.

    Args:
        file (Path): The checkpoint to write.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def before_train(self, runner: Runner) -> None:
        """Save, unless the run goes on from a later step."""
        if runner.iter == 0:
            save_checkpoint(dict(state_dict=get_state_dict(runner.model)), str(self.file))


def say(line: str) -> None:
    """Print a line of progress at once."""
    print(f'    {line}', flush=True)  # noqa: T201


@dataclass
class Quickstart:
    """A quickstart in a work folder. Every stage is run once: what is finished and unchanged is read back.

    Attributes:
        configs: The folder of the configs.
        work_dir: Folder of everything that is written.
        steps: Steps of pretraining; None for the config's.
        probe_steps: Steps of the linear probes; None for the config's.
        threads: Threads of PyTorch; None for one for each core.
        fresh: Repeat what is finished, too.
        encoder: File of an encoder's weights: the decoder learns on it, and it stays as it is. None: half a ResNet-18
            learns from random weights.
        encoder_name: What timm calls that encoder; None: what the file's name tells.
        pretrain_options: Settings of the pretraining config to change.
        probe_options: Settings of all four probe configs to change.
    """

    configs: Path
    work_dir: Path
    steps: int | None = None
    probe_steps: int | None = None
    threads: int | None = None
    fresh: bool = False
    encoder: Path | None = None
    encoder_name: str | None = None
    pretrain_options: dict = field(default_factory=dict)
    probe_options: dict = field(default_factory=dict)

    def run(self) -> tuple[dict[str, Any], Path]:
        """Run every stage that has not been finished; return the numbers and the path of the report."""
        if self.threads:
            torch.set_num_threads(self.threads)
        init_default_scope('mmvice')
        self.work_dir.mkdir(parents=True, exist_ok=True)
        pretraining = self.pretraining_config()
        steps = pretraining.train_cfg.max_iters
        self._stage(1, f'pretraining on unlabelled scenes, {steps} steps', 'vice', pretraining, self._pretrain)
        networks: dict[str, Any] = dict(vice={}, random_init={})
        for number, (network, probe) in enumerate(PROBES, 2):
            name = f'{network}_{probe}'
            title = f'{probe} probe of the {"trained" if network == "vice" else "untrained"} network'
            config = self.probe_config(network, probe, pretraining)
            networks[network][probe] = self._stage(number, title, name, config, self._probe)
            say('  '.join(f'{key} {networks[network][probe][key]:.2f}' for key in ('mIoU', 'aAcc')))
        say_stage(NUM_STAGES, 'report')
        return self._report(networks, pretraining)

    def pretraining_config(self) -> Config:
        """The config of pretraining with what this quickstart changes in it."""
        cfg = self._load(PRETRAINING, 'vice')
        if self.steps is not None:
            cfg.train_cfg.max_iters = self.steps
            interval = cfg.default_hooks.logger.interval
            cfg.default_hooks.logger.interval = max(min(interval, self.steps // 30), 1)
        cfg.merge_from_dict(self.pretrain_options)
        return cfg

    def probe_config(self, network: str, probe: str, pretraining: Config) -> Config:
        """The config of a probe: on the pretrained network, or on the same one as it was before the first step."""
        cfg = self._load(PROBES[network, probe], f'{network}_{probe}')
        if probe == 'linear' and self.probe_steps is not None:
            cfg.train_cfg.max_iters = self.probe_steps
        for name in ('backbone', 'decoder', 'data_preprocessor'):
            cfg.model[name] = pretraining.model[name]
        start = INITIAL if network == 'random_init' else self._checkpoint('vice', pretraining).name
        cfg.model.embedder_checkpoint = str(self.work_dir / 'vice' / start)
        for name in ('val_cfg', 'val_dataloader', 'val_evaluator'):  # each probe is tested once, at its end
            cfg[name] = None
        cfg.train_cfg.pop('val_interval', None)
        cfg.merge_from_dict(self.probe_options)
        return cfg

    def _load(self, config: str, stage: str) -> Config:
        cfg = Config.fromfile(self.configs / config)
        cfg.runner_type = QuietRunner.__name__
        cfg.work_dir = str(self.work_dir / stage)
        if self.encoder is not None:
            use_encoder(cfg, self.encoder, self.encoder_name)
        return cfg

    def _checkpoint(self, stage: str, cfg: Config) -> Path:
        """The checkpoint that a finished stage leaves."""
        by_epoch = cfg.train_cfg.type == 'ClusterFitLoop'
        return self.work_dir / stage / ('epoch_1.pth' if by_epoch else f'iter_{cfg.train_cfg.max_iters}.pth')

    def _stage(
        self, number: int, title: str, name: str, cfg: Config, work: Callable[[str, Config], dict[str, Any]]
    ) -> dict[str, Any]:
        """Do the work of a stage unless it was done with the same settings before; return its result."""
        say_stage(number, title)
        folder = self.work_dir / name
        record, settings = folder / 'stage.json', self._fingerprint(cfg)
        known = read_json(record)
        if self.fresh or known.get('settings') != settings:
            if folder.exists():
                clear_stage(folder)
            known = dict(settings=settings)
            write_json(record, known)
        if 'result' in known and self._checkpoint(name, cfg).is_file():
            say(f'already done, in {folder}')
            return known['result']
        started = time.monotonic()
        result = work(name, cfg)
        result['seconds'] = round(time.monotonic() - started, 1)
        write_json(record, dict(known, result=result))
        return result

    def _fingerprint(self, cfg: Config) -> str:
        """A digest of all settings of a stage, and of the weights that it starts from."""
        digest = hashlib.sha256(f'{__version__} {cfg.pretty_text}'.encode())
        if cfg.model.get('pretrained'):
            digest.update(Path(cfg.model.pretrained).read_bytes())
        embedder = cfg.model.get('embedder_checkpoint')
        if embedder:
            weights = load_checkpoint_file(embedder)['state_dict']
            for name in sorted(name for name in weights if name.startswith(('backbone.', 'decoder.'))):
                digest.update(weights[name].numpy().tobytes())
        return digest.hexdigest()

    def _pretrain(self, name: str, cfg: Config) -> dict[str, Any]:
        if (self.work_dir / name / 'last_checkpoint').is_file():
            use_resume(cfg, load_from=None)
        runner = build_runner(cfg)
        runner.register_hook(InitialWeightsHook(self.work_dir / name / INITIAL))
        runner.register_hook(ProgressHook(('loss', 'concepts_used', 'embedding_spread')))
        runner.train()
        return dict(steps=runner.iter)

    def _probe(self, name: str, cfg: Config) -> dict[str, Any]:
        runner = build_runner(cfg)
        if cfg.train_cfg.type != 'ClusterFitLoop':  # which has its own progress bar
            runner.register_hook(ProgressHook(('loss', 'decode.acc_seg'), lines=4))
        runner.train()
        metrics = runner.test()
        result = {key: round(float(metrics[key]), 2) for key in ('mIoU', 'aAcc', 'mAcc')}
        classes = runner.test_dataloader.dataset.metainfo['classes']
        return dict(result, per_class={c: {key: metrics[f'{key}.{c}'] for key in ('IoU', 'Acc')} for c in classes})

    def _report(self, networks: dict[str, Any], pretraining: Config) -> tuple[dict[str, Any], Path]:
        started = time.monotonic()
        probes = {key: self.probe_config(*key, pretraining) for key in PROBES}
        dataset = DATASETS.build(probes['vice', 'linear'].test_dataloader.dataset)
        seconds = {name: read_json(self.work_dir / name / 'stage.json')['result']['seconds'] for name in stage_names()}
        scenes = self._look(probes, dataset)
        seconds['report'] = round(time.monotonic() - started, 1)
        verdict = judge(networks)
        settings = self._settings(pretraining, probes)
        numbers = dict(networks, verdict=verdict._asdict(), settings=settings, seconds=seconds)
        content = ReportContent(
            curves=read_curves(self.work_dir / 'vice'),
            num_concepts=pretraining.model.head.num_concepts,
            views=draw_training_views(pretraining, NUM_VIEW_PICTURES),
            scenes=scenes,
            classes=dataset.metainfo['classes'],
            palette=dataset.metainfo['palette'],
            facts=facts(settings, seconds),
            commands=commands(self._checkpoint('vice', pretraining), pretraining),
        )
        page = self.work_dir / 'report.html'
        page.write_text(report_page(networks, content), encoding='utf-8')
        write_json(self.work_dir / 'report.json', numbers)
        return numbers, page

    def _look(self, probes: dict[tuple[str, str], Config], dataset: Any) -> list[Scene]:
        """What both networks make of some held-out scenes, at even distances through the test set."""
        indices = [i * len(dataset) // NUM_SCENES for i in range(NUM_SCENES)] if len(dataset) > NUM_SCENES else []
        infos = [dataset.get_data_info(i) for i in indices or range(len(dataset))]
        colors = np.array(dataset.metainfo['palette'], np.uint8)
        pictures: list[dict[str, dict[str, np.ndarray]]] = [{} for _ in infos]
        for network, title in dict(random_init='untrained', vice='trained').items():
            linear, cluster = (
                init_model(config.copy(), self._checkpoint(f'{network}_{probe}', config))
                for probe in ('linear', 'cluster')
                for config in [probes[network, probe]]
            )
            maps = [embed_image(linear, info['img']) for info in infos]
            pca = EmbeddingPCA.fit(sample_embeddings(maps, PCA_PIXELS // len(maps)))
            clusters = EmbeddingClusters(cluster.decode_head.centroids)
            cluster_colors = palette(len(clusters))
            for seen, embeddings in zip(pictures, maps):
                ids = clusters.assign(embeddings)[0]
                named = cluster.decode_head.cluster_classes.numpy()[ids]
                segmented = linear.decode_head.classify(embeddings)[0].numpy()
                seen[title] = {
                    'components': pca.colors(embeddings)[0],
                    'clusters': draw_labels(ids, cluster_colors, border=False),
                    'clusters, named': draw_labels(named, colors, border=False),
                    'linear': draw_labels(segmented, colors, border=False),
                }
        return [
            Scene(
                f'Held-out scene {info["sample_idx"] + 1}',
                info['img'][..., ::-1],
                draw_labels(info['gt_seg_map'], colors, border=False),
                dict(trained=seen['trained'], untrained=seen['untrained']),
            )
            for info, seen in zip(infos, pictures)
        ]

    def _settings(self, pretraining: Config, probes: dict[tuple[str, str], Config]) -> dict[str, Any]:
        train, test = (probes['vice', 'linear'][f'{part}_dataloader'] for part in ('train', 'test'))
        return dict(
            configs=[PRETRAINING, *PROBES.values()],
            encoder=pretraining.model.backbone.name if self.encoder is not None else None,
            steps=pretraining.train_cfg.max_iters,
            probe_steps=probes['vice', 'linear'].train_cfg.max_iters,
            images_per_step=pretraining.train_dataloader.batch_size,
            pretraining_scenes=pretraining.train_dataloader.dataset.num_scenes,
            probe_training_scenes=train.dataset.num_scenes,
            held_out_scenes=test.dataset.num_scenes,
            concepts=pretraining.model.head.num_concepts,
            clusters=probes['vice', 'cluster'].model.decode_head.num_clusters,
            seed=pretraining.randomness.seed,
            device='cuda' if torch.cuda.is_available() else 'cpu',
            threads=torch.get_num_threads(),
            cores=os.cpu_count(),
            options=dict(pretraining=self.pretrain_options, probes=self.probe_options),
            versions=dict(
                mmvice=__version__,
                python=platform.python_version(),
                **{name: module_version(name) for name in ('torch', 'mmengine', 'mmcv', 'mmsegmentation', 'numpy')},
                opencv=cv2.__version__,
            ),
        )


def stage_names() -> list[str]:
    """The folders of the stages that train something, in their order."""
    return ['vice', *(f'{network}_{probe}' for network, probe in PROBES)]


def clear_stage(folder: Path) -> None:
    """Delete what a stage with other settings has left.

    Raises:
        FileExistsError: If the folder is not one of a stage.
    """
    if not (folder / 'stage.json').is_file():
        raise FileExistsError(f'{folder} was not made by a quickstart: give another folder as --work-dir, or remove it')
    say(f'starting afresh, {folder} is of other settings or not to be used')
    shutil.rmtree(folder)


def say_stage(number: int, title: str) -> None:
    """Print the heading of a stage."""
    print(f'[{number}/{NUM_STAGES}] {title}', flush=True)  # noqa: T201


def draw_training_views(cfg: Config, number: int) -> list[np.ndarray]:
    """Views of the first training images as the run's first epoch sees them: RGB uint8."""
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    samples = (dataset[SeededIndex(i, seed=(cfg.randomness.seed, 0))] for i in range(min(number, len(dataset))))
    return [draw_sample(s['inputs'], s['data_samples'], min_side=128)[..., ::-1] for s in samples]


def read_curves(run_dir: Path) -> Curves:
    """What a run logged of its loss and concepts, over all its restarts: name to (steps, values)."""
    logged: dict[int, dict[str, float]] = {}
    for file in sorted(run_dir.glob('*/vis_data/scalars.json')):
        for line in file.read_text(encoding='utf-8').splitlines():
            scalars = json.loads(line)
            if 'loss' in scalars:
                logged[scalars['step']] = scalars
    steps = sorted(logged)
    return {name: (steps, [logged[step].get(name, float('nan')) for step in steps]) for name in CURVES}


def facts(settings: dict[str, Any], seconds: dict[str, float]) -> dict[str, str]:
    """What was run, as lines for readers."""
    stages = ', '.join(f'{name.replace("_", " ")} {value:.0f} s' for name, value in seconds.items())
    options = {name: value for name, value in settings['options'].items() if value}
    changed = {'changed settings': json.dumps(options)} if options else {}
    encoder = {'encoder': f'{settings["encoder"]}, which stays as it is'} if settings['encoder'] else {}
    return {
        **encoder,
        'pretraining': f'{settings["steps"]} steps of {settings["images_per_step"]} images, '
        f'from {settings["pretraining_scenes"]} scenes without labels; {settings["concepts"]} concepts',
        'probes': f'{settings["probe_training_scenes"]} labelled scenes; linear: {settings["probe_steps"]} steps; '
        f'cluster: {settings["clusters"]} clusters',
        'test': f'{settings["held_out_scenes"]} scenes that neither pretraining nor the probes have seen',
        'time': f'{sum(seconds.values()):.0f} s: {stages}',
        'machine': f'{settings["device"]}, {settings["threads"]} threads on {settings["cores"]} cores',
        'seed': str(settings['seed']),
        **changed,
        'versions': ', '.join(f'{name} {version}' for name, version in settings['versions'].items()),
        'configs': ', '.join(f'configs/{name}' for name in settings['configs']),
    }


def commands(checkpoint: Path, pretraining: Config | None = None) -> list[tuple[str, str]]:
    """What to do next with a network, as titles and shell lines.

    Args:
        checkpoint: The network's.
        pretraining: The config that it was pretrained with; None for that of the quickstart.
    """
    encoder = pretraining is not None and pretraining.model.get('pretrained')
    if encoder:
        config = shlex.quote(str(Path(pretraining.work_dir, Path(PRETRAINING).name)))  # as this run has changed it
        folder = folder_config(pretraining.model.backbone.name)
        weights = f' \\\n    model.pretrained={shlex.quote(str(encoder))}'
    else:
        config, weights = f'configs/{PRETRAINING}', ''
        folder = 'configs/vice/vice_r18_light-fpn_adamw-2k_folder-64x64.py'
    train = f'python tools/train.py {folder} \\\n    --cfg-options train_dataloader.dataset.data_root=FOLDER{weights}'
    return [
        (
            'See this network on your own images',
            f'python tools/visualization/embeddings.py {config} \\\n'
            f'    {shlex.quote(str(checkpoint))} FOLDER --concepts --output-dir work_dirs/my_images',
        ),
        *([('Pretrain on your own images, no labels needed', train)] if folder else []),
        (
            'Pretrain and probe on CamVid (in data/camvid)',
            'python tools/train.py configs/vice/vice_r18_light-fpn_adamw-2k_camvid-64x64.py\n'
            'python tools/train.py configs/linear_probe/vice_r18_light-fpn_linear-64-1k_camvid-96x128.py\n'
            'bash tools/test.sh configs/linear_probe/vice_r18_light-fpn_linear-64-1k_camvid-96x128.py \\\n'
            '    work_dirs/vice_r18_light-fpn_linear-64-1k_camvid-96x128/iter_1000.pth',
        ),
        ('Look at the views that a config makes', f'python tools/visualization/browse_views.py {config}'),
    ]


def summary(numbers: dict[str, Any]) -> str:
    """The numbers as a table for the terminal, and the verdict."""
    lines = ['                            mIoU    aAcc']
    for network, probe in sorted(PROBES, key=lambda key: key[1], reverse=True):
        name = f'{probe} probe, {"trained" if network == "vice" else "untrained"}'
        of = numbers[network][probe]
        part = part_of_classes(values['IoU'] for values in of.get('per_class', {}).values())
        lines.append(f'{name:<25} {of["mIoU"]:6.2f}  {of["aAcc"]:6.2f}' + (f'  mIoU{part}' if part else ''))
    return '\n'.join([*lines, Verdict(**numbers['verdict']).headline])


def module_version(name: str) -> str:
    """Version of an installed distribution, under its own name or that of its maintained successor."""
    for distribution in (f'onedl-{name}', name):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return 'unknown'


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; an empty one if there is no file or it was not written to its end."""
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON so that a crash leaves the file before or the file after, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix('.part')
    part.write_text(json.dumps(content, indent=2, default=str) + '\n', encoding='utf-8')
    os.replace(part, path)
