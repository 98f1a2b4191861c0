"""Trains in processes of its own that are killed, at a given operation on a checkpoint's files or at any time.

Run as a program: the packages are imported once, and every training is a fork, which is as good as a new process for
what it has in memory of a training, namely nothing, and starts in no time.
"""

import json
import os
import random
import runpy
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs' / 'vice' / 'vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py'
STEPS, INTERVAL = 6, 1
OPTIONS = (
    *('model.backbone.base_channels=4', 'model.decoder.in_channels=[4,8,16,32]', 'model.head.num_concepts=8'),
    *('model.head.queue_length=30', 'model.head.queue_start_iter=2', 'model.head.freeze_concepts_iters=1'),
    *('train_dataloader.batch_size=2', 'train_dataloader.dataset.num_scenes=5', 'custom_hooks=[]'),
    f'param_scheduler.0.end={STEPS}',
    *(f'train_cfg.max_iters={STEPS}', 'default_hooks.checkpoint.max_keep_ckpts=2', 'log_level=WARNING'),
    f'default_hooks.checkpoint.interval={INTERVAL}',
)


class Killer:
    """Kills this process at its n-th operation on the files of checkpoints; counts them if n is None."""

    def __init__(self, at: int | None, work_dir: Path) -> None:
        self.at, self.work_dir, self.operations = at, str(work_dir), []

    def install(self) -> None:
        import mmvice.utils.files as files

        sys.addaudithook(self._audit)
        fsync = os.fsync
        killer = self

        class HalfWritten:
            """A file that is written in two halves."""

            def __init__(self, file) -> None:
                self.file = file

            def __enter__(self) -> 'HalfWritten':
                return self

            def __exit__(self, *error: object) -> None:
                self.file.close()

            def __getattr__(self, name: str):
                return getattr(self.file, name)

            def write(self, content: bytes) -> None:
                half = len(content) // 2
                self.file.write(content[:half])
                self.file.flush()
                killer.note('write the second half of', self.file.name)
                self.file.write(content[half:])

        def open_in_halves(path: str, mode: str):
            return HalfWritten(open(path, mode))

        def noted_fsync(descriptor: int) -> None:
            fsync(descriptor)
            killer.note('after fsync of', os.readlink(f'/proc/self/fd/{descriptor}'))

        files.open = open_in_halves
        files.os.fsync = noted_fsync

    def _audit(self, event: str, arguments: tuple) -> None:
        if event in ('open', 'os.rename', 'os.remove') and isinstance(arguments[0], (str, bytes, os.PathLike)):
            writing = event != 'open' or (isinstance(arguments[1], str) and set(arguments[1]) & set('wax+'))
            if writing:
                self.note(event, os.fsdecode(arguments[0]))

    def note(self, operation: str, path: str) -> None:
        if not path.startswith(self.work_dir) or not (
            'iter_' in path or 'last_checkpoint' in path or path == self.work_dir
        ):
            return
        self.operations.append(f'{operation} {os.path.relpath(path, self.work_dir)}'.replace(f'.{os.getpid()}.', '.'))
        if len(self.operations) - 1 == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def train(work_dir: Path, workers: int) -> None:
    """What ``tools/train.py CONFIG --resume`` does."""
    loading = [f'train_dataloader.num_workers={workers}', f'train_dataloader.persistent_workers={workers > 0}']
    arguments = [str(CONFIG), '--resume', '--work-dir', str(work_dir), '--cfg-options', *OPTIONS, *loading]
    runpy.run_path(str(ROOT / 'tools' / 'train.py'))['main'](arguments)


def start(work_dir: Path, workers: int, killer: Killer | None = None, record: Path | None = None) -> int:
    """Fork a training; returns the id of its process."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.setpgid(0, 0)
        if killer is not None:
            killer.install()
        train(work_dir, workers)
        if record is not None:
            record.write_text(json.dumps(killer.operations))
        code = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def finish(process: int) -> int:
    """Wait for a training, and end what workers it has left; returns its exit code, or minus the signal."""
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    try:
        os.killpg(process, signal.SIGKILL)
    except ProcessLookupError:
        pass
    return code


def run_whole(work_dir: Path, workers: int) -> list[str]:
    """Train without a stop; returns the operations at which that could be killed."""
    record = work_dir.parent / 'operations.json'
    code = finish(start(work_dir, workers, Killer(None, work_dir), record))
    assert code == 0, f'the training ended with {code}'
    return json.loads(record.read_text())


def kill_at(number: int, folder: Path, workers: int) -> dict:
    """Kill a training at an operation, look at what there is, and train to the end."""
    from mmvice.utils.whole_checkpoint import latest_checkpoint

    work_dir = folder / 'run'
    killed = finish(start(work_dir, workers, Killer(number, work_dir)))
    left = latest_checkpoint(work_dir) if work_dir.exists() else None
    whole = [path.name for path in work_dir.glob('iter_*.pth')]
    resumed = finish(start(work_dir, workers))
    return dict(
        killed=killed,
        latest=None if left is None else Path(left).name,
        present=sorted(whole),
        resumed=resumed,
        last=str(work_dir / f'iter_{STEPS}.pth'),
        kept=sorted(path.name for path in work_dir.iterdir() if path.suffix in ('.pth', '.part')),
    )


def kill_at_any_time(folder: Path, workers: int, seed: int, kills: int) -> dict:
    """Kill a training again and again, the sooner the more kills are left, until it is let come to its end."""
    generator, work_dir, codes = random.Random(seed), folder / 'run', []
    for _ in range(kills):
        process = start(work_dir, workers)
        time.sleep(generator.uniform(0.3, 1.5))
        os.kill(process, signal.SIGKILL)
        codes.append(finish(process))
    return dict(killed=codes, resumed=finish(start(work_dir, workers)), last=str(work_dir / f'iter_{STEPS}.pth'))


def main() -> None:
    """``killed_training.py FOLDER JSON``: do the jobs in the JSON and print what came of them as JSON."""
    import mmvice.apis
    import mmvice.datasets
    import mmvice.engine
    import mmvice.models  # noqa: F401

    folder, jobs = Path(sys.argv[1]), json.loads(sys.argv[2])
    functions = dict(whole=run_whole, at=kill_at, any_time=kill_at_any_time)
    for number, (kind, options) in enumerate(jobs):
        place = folder / f'{kind}_{number}'
        place.mkdir(parents=True)
        if kind == 'whole':
            options = dict(options, work_dir=place / 'run')
        else:
            options = dict(options, folder=place)
        print('RESULT', json.dumps(functions[kind](**options)), flush=True)  # noqa: T201


if __name__ == '__main__':
    main()
