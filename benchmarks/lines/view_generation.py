"""Line d: from an image file to a packed sample of views."""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
import torchvision.transforms.functional as TF
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

from mmvice.datasets.transforms.view_color import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation
from mmvice.ops import slic
from mmvice.registry import TRANSFORMS

from .. import data
from ..harness import Row, Settings, Times, at_least, interleave, progress, python_profile_text, write_seconds
from ..plain import superpixels as plain_superpixels
from ..plain import views as plain_views

CONFIG = data.ROOT / 'configs' / '_base_' / 'datasets' / 'views_256.py'
REGION_SIZE = 20


def rows(settings: Settings) -> Iterator[Row]:
    """Per image on one core, all of it and all but the superpixels."""
    init_default_scope('mmvice')
    name, plain_slic = next(
        iter({**plain_superpixels.installed(), 'plain NumPy': plain_superpixels.numpy_slic}.items())
    )
    with TemporaryDirectory() as folder:
        files = data.image_files(settings.pick(32, 2), Path(folder))
        progress(f'd: view generation of {len(files)} images, {data.source()}: equality of its parts')
        check_parts(files[0])
        pipeline = build_pipeline()
        np.random.seed(0)
        random.seed(0)
        torch.manual_seed(0)
        paths = {side: itertools.cycle(files) for side in ('ours', 'plain')}
        sides = dict(
            ours=lambda: pipeline(dict(img_path=str(next(paths['ours'])))),
            plain=lambda: plain_views.make_sample(next(paths['plain']), plain_slic),
        )
        rounds = settings.pick(max(settings.repeats, 2) * 16, 2)
        progress(f'd: view generation, {rounds} images a side; plain side with the SLIC of {name}')
        whole = interleave(sides, rounds)
        image = _cropped(files[0])
        progress('d: the superpixels of both sides alone')
        parts = interleave(
            dict(ours=lambda: slic(image, REGION_SIZE), plain=lambda: plain_slic(image, REGION_SIZE)), settings.repeats
        )
        note = '' if name == 'OpenCV' else f"the authors use OpenCV's SLIC; here {name}'s"
        shared = dict(images=rounds, slow_slic=name, superpixel_seconds=parts.details()['median_seconds'])
        yield Row(
            'd',
            f"file to packed sample, 5 views 256; plain: the authors' steps, SLIC of {name}",
            write_seconds(whole.median('plain')),
            write_seconds(whole.median('ours')),
            ratio=whole.ratio('plain', 'ours'),
            target=at_least(7),
            details=dict(**shared, **whole.details()),
            profile=lambda: _profile(pipeline, files),
            note=note,
        )
        yield _without_superpixels(whole, parts)


def _without_superpixels(whole: Times, parts: Times) -> Row:
    rest = {side: whole.median(side) - parts.median(side) for side in ('plain', 'ours')}
    return Row(
        'd',
        'the same less the superpixels of either side',
        write_seconds(max(rest['plain'], 0)),
        write_seconds(max(rest['ours'], 0)),
        ratio=rest['plain'] / rest['ours'],
        details=dict(rest_seconds=rest),
    )


def build_pipeline(last: int | None = None) -> Compose:
    """The paper's low-resolution pipeline from its config, or its first steps."""
    steps = Config.fromfile(CONFIG).train_pipeline[:last]
    return Compose([TRANSFORMS.build(step) for step in steps])


def _cropped(file: Path) -> np.ndarray:
    return build_pipeline(3)(dict(img_path=str(file)))['img']


def check_parts(file: Path) -> None:
    """Raise AssertionError unless the steps that both sides share do the same to the same random choices."""
    np.random.seed(0)
    results = build_pipeline(5)(dict(img_path=str(file)))
    image = Image.fromarray(results['img'][..., ::-1])
    boxes = [tuple(map(int, box)) for box in results['view_boxes']]
    size = results['views'].shape[1]
    ids = [plain_views.cut_ids(results['superpixels'], box, size) for box in boxes]
    np.testing.assert_array_equal(results['view_superpixels'], ids, 'superpixels of the views')
    for box, view in zip(boxes, results['views']):
        difference = np.abs(np.asarray(plain_views.cut_image(image, box, size))[..., ::-1] - view.astype(float))
        assert difference.mean() < 3, f'views differ by {difference.mean():.1f} levels'
    masks = [np.zeros(view.shape, bool) for view in ids]
    masks[0][:20, :30] = True
    learned = TRANSFORMS.build(dict(type='MutualRegions'))(
        dict(view_superpixels=np.stack(ids), view_masks=np.stack(masks))
    )
    regions, num_regions = plain_views.number_regions(ids, masks)
    assert num_regions == learned['num_regions'], 'number of mutual regions'
    np.testing.assert_array_equal(learned['regions'], regions, 'mutual regions')
    check_colors(results['views'][0])


def check_colors(view: np.ndarray) -> None:
    """Raise AssertionError unless our colour steps give torchvision's, within rounding of its intermediate images."""
    pairs = (
        (adjust_brightness, TF.adjust_brightness, 1.4),
        (adjust_contrast, TF.adjust_contrast, 0.5),
        (adjust_saturation, TF.adjust_saturation, 1.6),
        (adjust_hue, TF.adjust_hue, 0.15),
    )
    image = Image.fromarray(cv2.cvtColor(view, cv2.COLOR_BGR2RGB))
    for ours, plain, amount in pairs:
        difference = np.abs(ours(view, amount)[..., ::-1].astype(float) - np.asarray(plain(image, amount)))
        assert difference.mean() < 2, f'{ours.__name__}: views differ by {difference.mean():.1f} levels'


def _profile(pipeline: Compose, files: list[Path]) -> str:
    return python_profile_text(lambda: [pipeline(dict(img_path=str(file))) for file in files])
