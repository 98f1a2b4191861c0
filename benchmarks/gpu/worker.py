"""One measurement, or several, in a process of its own: ``python -m benchmarks.gpu.worker OUT NAME ...``."""

import argparse
import importlib
import json
import os
import platform
import time
import traceback
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.logging import MMLogger

from mmvice.utils.console import use_console

from ..harness import Settings, processor_name
from .plan import PLAN

LAST_LINES = 12
"""Lines of a traceback that the results keep."""


def measure(name: str, settings: Settings, save: object) -> None:
    """Take one measurement; ``save`` gets its record after every row."""
    (measurement,) = (each for each in PLAN if each.name == name)
    record = dict(status='running', rows=[])
    start = time.monotonic()
    module, function = measurement.rows.split(':')
    try:
        for row in getattr(importlib.import_module(module), function)(settings):
            record['rows'].append(row.as_json(settings.quick))
            save(record)
            if row.verdict(settings.quick) == 'MISSED' and row.profile is not None:
                record['rows'][-1]['profile'] = row.profile()
        record['status'] = 'done'
    except Exception:  # said in the results; the other measurements go on
        record.update(status='failed', error=traceback.format_exc().splitlines()[-LAST_LINES:])
        traceback.print_exc()
    record['seconds'] = round(time.monotonic() - start, 1)
    save(record)


def surroundings(settings: Settings) -> dict:
    """What is measured where, and when."""
    gpu = {}
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        gpu = dict(
            name=properties.name,
            memory_gib=round(properties.total_memory / 2**30, 1),
            capability=f'{properties.major}.{properties.minor}',
            cuda=torch.version.cuda,
            cudnn=torch.backends.cudnn.version(),
        )
    return dict(
        date=datetime.now(timezone.utc).strftime('%Y-%m-%d %H:%M UTC'),
        gpu=gpu,
        processor=processor_name(),
        cores=len(os.sched_getaffinity(0)),
        system=platform.platform(),
        versions=dict(python=platform.python_version(), torch=torch.__version__, numpy=np.__version__),
        dry=settings.quick,
        repeats=settings.repeats,
    )


def main() -> None:
    """Take the named measurements, and write what is there after every row."""
    parser = argparse.ArgumentParser('python -m benchmarks.gpu.worker', description=__doc__)
    parser.add_argument('out', type=Path, help='JSON file')
    parser.add_argument('names', nargs='+', help='measurements of the plan')
    parser.add_argument('--dry', action='store_true', help='tiny sizes, on the CPU')
    args = parser.parse_args()
    # how each weight was initialised is no news here
    use_console(MMLogger.get_instance('gpu', log_level='WARNING'))
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    settings = Settings(args.dry, 1 if args.dry else 9, ('cpu',) if args.dry else ('cuda',))
    written = dict(surroundings=surroundings(settings), measurements={})
    for name in args.names:

        def save(record: dict, name: str = name) -> None:
            written['measurements'][name] = record
            unfinished = args.out.with_suffix('.part')
            unfinished.write_text(json.dumps(written, default=str), encoding='utf-8')
            os.replace(unfinished, args.out)

        measure(name, settings, save)


if __name__ == '__main__':
    main()
