"""Pictures of views and embeddings while a ViCE model is trained."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from mmvice.registry import HOOKS
from mmvice.structures import EmbeddingMap
from mmvice.utils.image_files import read_image
from mmvice.utils.palette import palette
from mmvice.visualization.drawing import draw_labels, enlarge_small, fit_within, panel
from mmvice.visualization.embeddings import EmbeddingClusters, EmbeddingPCA, sample_embeddings
from mmvice.visualization.views import draw_sample

_SHORT_SIDE = 192
_PIXELS = 50_000  # of all images, for the principal components


@HOOKS.register_module()
class EmbeddingVisualizationHook(Hook):
    """Draws what a ViCE model is trained on and what it has learned, every so many iterations.

    Two pictures go to all backends of the visualizer: ``views``, the views of the current batch with their mutual
    regions and masks (Fig. 3), and ``embeddings``, images with the principal components of their embeddings as colours,
    and cut into the learned concepts (Fig. 5 and 9).

    The model is in evaluation while it is looked at, and everything is put back afterwards: training with and without
    this hook gives the same weights, bit for bit. Only the main process draws.

    Args:
        interval (int): Iterations between two drawings. Defaults to 500.
        num_images (int): Number of images in a picture. Defaults to 4.
        images (Sequence[str], optional): Image files to embed, in place of the first ``num_images`` primary views of
            the run, which are the same ones each time. Defaults to None.
        size (int): Longer sides of ``images`` above this are shrunk to it; best the size of images in training.
            Defaults to 512.

    Raises:
        ValueError: If a number is not positive.
        FileNotFoundError: When training starts, if one of ``images`` is missing.
        TypeError: When training starts, if the model has no concepts.
    """

    priority = 'LOW'

    def __init__(
        self, interval: int = 500, num_images: int = 4, images: Sequence[str] | None = None, size: int = 512
    ) -> None:
        if min(interval, num_images, size) < 1:
            raise ValueError(f'interval, num_images and size must be positive, got {interval}, {num_images}, {size}')
        self.interval = interval
        self.num_images = num_images
        self.files = images
        self.size = size
        self.images: list[np.ndarray] = []
        """The images that are embedded, BGR uint8 (H, W, 3)."""

    def before_train(self, runner: Runner) -> None:
        """Read ``images``, and check that there is something to draw."""
        model = _unwrap(runner.model)
        if not hasattr(getattr(model, 'head', None), 'concepts'):
            raise TypeError(
                f'EmbeddingVisualizationHook draws the concepts of a ViCE model, but the model is a '
                f'{type(model).__name__}: take the hook out of custom_hooks'
            )
        if self.files is not None and is_main_process():
            self.images = [fit_within(_read(file), self.size) for file in self.files]

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Remember the first images; draw when it is time."""
        if not is_main_process():
            return
        if self.files is None:
            missing = self.num_images - len(self.images)
            for views in data_batch['inputs'][: max(missing, 0)]:
                self.images.append(views[0].permute(1, 2, 0).cpu().numpy().copy())
        if self.every_n_train_iters(runner, self.interval):
            step = runner.iter + 1
            runner.visualizer.add_image('views', self.draw_views(data_batch), step)
            runner.visualizer.add_image('embeddings', self.draw_embeddings(_unwrap(runner.model)), step)

    def draw_views(self, data_batch: dict) -> np.ndarray:
        """The views of the first images of a batch: RGB uint8 (H, W, 3)."""
        samples = zip(data_batch['inputs'][: self.num_images], data_batch['data_samples'])
        return panel([[draw_sample(views, sample)[..., ::-1]] for views, sample in samples])

    @torch.no_grad()
    def draw_embeddings(self, model: nn.Module) -> np.ndarray:
        """The images beside their principal components and concepts: RGB uint8 (H, W, 3)."""
        with undisturbed(model):
            maps = [self._embed(model, image) for image in self.images]
            pca = EmbeddingPCA.fit(sample_embeddings(maps, max(_PIXELS // len(maps), 1)))
            concepts = EmbeddingClusters(model.head.unit_concepts())
            colors = palette(len(concepts))
            rows = []
            for image, embeddings in zip(self.images, maps):
                rgb = enlarge_small(image[..., ::-1], _SHORT_SIDE)
                components = enlarge_small(pca.colors(embeddings)[0], _SHORT_SIDE)
                labels = enlarge_small(concepts.assign(embeddings)[0], _SHORT_SIDE)
                rows.append([rgb, components, draw_labels(labels, colors, rgb)])
        return panel(rows, titles=('image', 'principal components', f'{len(concepts)} concepts'))

    def _embed(self, model: nn.Module, image: np.ndarray) -> EmbeddingMap:
        tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return model.embed(model.data_preprocessor(dict(inputs=[tensor]))['inputs'])


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation for a while; its modes and all random number generators are as before afterwards."""
    modes = {module: module.training for module in model.modules()}
    devices = {parameter.device for parameter in model.parameters() if parameter.is_cuda}
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices):
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


def _read(file: str) -> np.ndarray:
    try:
        return read_image(Path(file).expanduser())
    except (FileNotFoundError, ValueError) as error:
        raise type(error)(f'EmbeddingVisualizationHook: {error}') from error
