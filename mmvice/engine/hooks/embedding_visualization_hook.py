"""Pictures of views and embeddings during the training of a ViCE model."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from mmvice.datasets.network_scale import NetworkScale
from mmvice.datasets.seeded_sampling import seeded_generators
from mmvice.datasets.transforms import ContextualViewCrop
from mmvice.models import head_of
from mmvice.registry import HOOKS
from mmvice.structures import EmbeddingMap
from mmvice.utils.device import kept_random_state
from mmvice.utils.palette import palette
from mmvice.utils.reading import decoding_of, read_image
from mmvice.visualization.drawing import draw_labels, enlarge_small, fit_within, panel
from mmvice.visualization.embeddings import EmbeddingClusters, EmbeddingPCA, sample_embeddings
from mmvice.visualization.views import draw_sample

_SHORT_SIDE = 192
_LONG_SIDE = 512
_PIXELS = 50_000  # of all images, for the principal components


@HOOKS.register_module()
class EmbeddingVisualizationHook(Hook):
    """Draws the views and the embeddings of a ViCE model at the start of training, at its end, and in between.

    Two pictures go to all backends of the visualizer: ``views``, the views of the current batch with their mutual
    regions and masks (Fig. 3), and ``embeddings``, images with the principal components of their embeddings as colours,
    and their learned concepts (Fig. 5 and 9).

    The model is in evaluation while pictures are drawn, and its state is restored afterwards. Training with and without
    this hook gives the same weights, bit for bit. Only the main process draws.

    Args:
        interval (int): Iterations between two drawings. The first one is always before the first step of a run, the
            last one at its end. Defaults to 500.
        num_images (int): Number of images in a picture. Defaults to 4.
        images (Sequence[str], optional): Image files to embed. Defaults to None: ``num_images`` of the training images
            before views are cropped, the same ones in every run, or the primary views of the first batch if the
            pipeline has no :class:`ContextualViewCrop`.
        size (int, optional): Scale of ``images``, see :class:`NetworkScale`. Defaults to None: the scale of training.

    Raises:
        ValueError: If a number is not positive.
        FileNotFoundError: When training starts, if one of ``images`` is missing.
        TypeError: When training starts, if the model has no embeddings.
    """

    priority = 'LOW'

    def __init__(
        self, interval: int = 500, num_images: int = 4, images: Sequence[str] | None = None, size: int | None = None
    ) -> None:
        if min(interval, num_images) < 1:
            raise ValueError(f'interval and num_images must be positive, got {interval} and {num_images}')
        self.interval = interval
        self.num_images = num_images
        self.files = images
        self.size = size
        self._batch: dict | None = None
        self._drawn: int | None = None
        self.images: list[np.ndarray] = []
        """The images that are embedded, as the network gets them, BGR uint8 (H, W, 3)."""

    def before_train(self, runner: Runner) -> None:
        """Read ``images``, and check that the model has embeddings."""
        model = _unwrap(runner.model)
        if head_of(model) is None:
            raise TypeError(
                f'EmbeddingVisualizationHook draws what a ViCE model has learned, but the model is a '
                f'{type(model).__name__}: take the hook out of custom_hooks'
            )
        self._batch, self._drawn = None, None
        if is_main_process():
            if self.files is None:
                self.images = undistorted_images(runner.train_dataloader.dataset, self.num_images)
                return
            decoding = decoding_of(runner.cfg, 'train_dataloader')
            scale = NetworkScale(runner.cfg, self.size, 'train_dataloader')
            self.images = [scale(_read(file, decoding)) for file in self.files]

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Draw before the first step of a run."""
        if not is_main_process():
            return
        first, self._batch = self._batch is None, data_batch
        if first:
            if not self.images:
                views = data_batch['inputs'][: self.num_images]
                self.images = [view[0].permute(1, 2, 0).cpu().numpy().copy() for view in views]
            self._draw(runner, runner.iter)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Draw every ``interval`` iterations."""
        if is_main_process() and self.every_n_train_iters(runner, self.interval):
            self._draw(runner, runner.iter + 1)

    def after_train(self, runner: Runner) -> None:
        """Draw at the end of the training."""
        if self._batch is not None and self._drawn != runner.iter:
            self._draw(runner, runner.iter)
        self._batch = None

    def _draw(self, runner: Runner, step: int) -> None:
        runner.visualizer.add_image('views', self.draw_views(self._batch), step)
        runner.visualizer.add_image('embeddings', self.draw_embeddings(_unwrap(runner.model)), step)
        self._drawn = step

    def draw_views(self, data_batch: dict) -> np.ndarray:
        """The views of the first images of a batch: RGB uint8 (H, W, 3)."""
        samples = zip(data_batch['inputs'][: self.num_images], data_batch['data_samples'])
        return panel([[draw_sample(views, sample)[..., ::-1]] for views, sample in samples])

    @torch.no_grad()
    def draw_embeddings(self, model: nn.Module) -> np.ndarray:
        """The images beside their principal components, and concepts if there are any: RGB uint8 (H, W, 3)."""
        with undisturbed(model):
            maps = [self._embed(model, image) for image in self.images]
            pca = EmbeddingPCA.fit(sample_embeddings(maps, max(_PIXELS // len(maps), 1)))
            unit_concepts = model.head.unit_concepts()
            concepts = None if unit_concepts is None else EmbeddingClusters(unit_concepts)
            titles, rows = ['image', 'principal components'], []
            if concepts is not None:
                titles.append(f'{len(concepts)} concepts')
                colors = palette(len(concepts))
            for image, embeddings in zip(self.images, maps):
                shown = fit_within(image, _LONG_SIDE)
                embeddings = EmbeddingMap(embeddings.features, shown.shape[:2])
                rgb = enlarge_small(shown[..., ::-1], _SHORT_SIDE)
                components = enlarge_small(pca.colors(embeddings)[0], _SHORT_SIDE)
                rows.append([rgb, components])
                if concepts is not None:
                    labels = enlarge_small(concepts.assign(embeddings)[0], _SHORT_SIDE)
                    rows[-1].append(draw_labels(labels, colors, rgb))
        return panel(rows, titles=titles)

    def _embed(self, model: nn.Module, image: np.ndarray) -> EmbeddingMap:
        tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return model.embed(model.data_preprocessor(dict(inputs=[tensor]))['inputs'])


def undistorted_images(dataset: Dataset, number: int) -> list[np.ndarray]:
    """Evenly spaced images of a data set, before views are cropped.

    Args:
        dataset: A data set with a pipeline that has :class:`ContextualViewCrop`, or one of MMEngine's wrappers of such.
        number: Number of images.

    Returns:
        list: BGR uint8 (H, W, 3); fewer if the data set is smaller, and none for another kind of data set.
    """
    places = [(part, index) for part in _members(dataset) for index in range(len(part))]
    found = []
    with seeded_generators(0):
        for first in np.linspace(0, len(places), number, endpoint=False).astype(int):
            for part, index in places[first : first + max(len(places) // number, 1)]:  # the first one that is usable
                results = part.prepare_data(index)
                if results is not None:
                    found.append(results['img'].copy())
                    break
    return found


def _members(dataset: Dataset) -> list[Dataset]:
    """The data sets within wrappers, with pipelines that end before views are cropped."""
    if hasattr(dataset, 'datasets'):
        return [member for part in dataset.datasets for member in _members(part)]
    if hasattr(dataset, 'dataset'):
        return _members(dataset.dataset)
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', [])
    crops = [number for number, step in enumerate(steps) if isinstance(step, ContextualViewCrop)]
    if not crops:
        return []
    dataset.full_init()
    member = copy(dataset)
    member.pipeline = Compose(steps[: crops[0]])
    return [member]


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Switch a model to evaluation temporarily; restore its modes and all random states afterwards."""
    modes = {module: module.training for module in model.modules()}
    devices = {parameter.device for parameter in model.parameters()}
    states = random.getstate(), np.random.get_state()
    with kept_random_state(devices):
        try:
            for module in modes:
                module.training = False
            yield
        finally:
            for module, training in modes.items():
                module.training = training
            random.setstate(states[0])
            np.random.set_state(states[1])


def _unwrap(model: nn.Module) -> nn.Module:
    return model.module if is_model_wrapper(model) else model


def _read(file: str, decoding: dict) -> np.ndarray:
    try:
        return read_image(Path(file).expanduser(), **decoding)
    except (FileNotFoundError, ValueError) as error:
        raise type(error)(f'EmbeddingVisualizationHook: {error}') from error
