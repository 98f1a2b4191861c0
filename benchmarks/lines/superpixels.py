"""Line e: SLIC alone, against other libraries at equal or better quality."""

from collections.abc import Callable, Iterator
from statistics import mean

import cv2
import numpy as np

from mmvice.ops import slic

from .. import data
from ..harness import Row, Settings, at_least, interleave, progress, python_profile_text, write_seconds
from ..plain import superpixels as plain

REGION_SIZE = 20


def rows(settings: Settings) -> Iterator[Row]:
    """Time at three sizes and quality at the images' own size, against each library that is here."""
    libraries = plain.installed()
    if not libraries:
        yield Row('e', "SLIC against OpenCV's and skimage's", note=f'not installed. {plain.INSTALL}')
    image = data.labeled_images(settings.pick(24, 2))[0][0]
    for name, other in {**libraries, 'plain NumPy': plain.numpy_slic}.items():
        target = at_least(3.5) if name == 'OpenCV' else None
        yield from _quality(settings, name, other, target is not None)
        for height, width in settings.pick(((320, 320), (480, 640), (1024, 2048)), ((64, 80),)):
            progress(f'e: SLIC {width}x{height} against {name}')
            scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
            sides = dict(
                ours=lambda scaled=scaled: slic(scaled, REGION_SIZE),
                plain=lambda other=other, scaled=scaled: other(scaled, REGION_SIZE),
            )
            times = interleave(sides, settings.repeats if name != 'plain NumPy' else min(settings.repeats, 3))
            yield Row(
                'e',
                f'SLIC {width}x{height} against {name}',
                write_seconds(times.median('plain')),
                write_seconds(times.median('ours')),
                ratio=times.ratio('plain', 'ours'),
                target=target,
                details=dict(size=[height, width], library=name, **times.details()),
                profile=lambda scaled=scaled: python_profile_text(lambda: slic(scaled, REGION_SIZE)),
            )


def _quality(settings: Settings, name: str, other: Callable[..., np.ndarray], judged: bool) -> Iterator[Row]:
    images = data.labeled_images(settings.pick(24, 2))
    images = images[: settings.pick(len(images) if name != 'plain NumPy' else 4, 2)]
    progress(f'e: quality on {len(images)} images against {name}')
    ids = [(slic(image, REGION_SIZE), other(image, REGION_SIZE), labels) for image, labels in images]
    count = [mean(len(np.unique(pair[side])) for pair in ids) for side in (1, 0)]
    for measure in (plain.segmentation_accuracy, plain.boundary_recall):
        theirs, ours = (mean(measure(pair[side], pair[2]) for pair in ids) for side in (1, 0))
        target = at_least(0, '') if judged else None
        yield Row(
            'e',
            f'{measure.__name__.replace("_", " ")}, ours less {name}',
            f'{theirs:.4f}',
            f'{ours:.4f}',
            ratio=ours - theirs,
            target=target,
            details=dict(images=len(images), library=name, superpixels=dict(plain=count[0], ours=count[1])),
            note=f'{count[0]:.0f} and {count[1]:.0f} superpixels an image',
        )
