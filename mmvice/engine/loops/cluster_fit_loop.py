"""Fitting a cluster probe: two passes over the training images instead of gradient steps."""

import logging
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mmengine.dist import all_gather_object, all_reduce, broadcast, get_rank, is_main_process
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from mmengine.utils import ProgressBar
from torch.utils.data import DataLoader

from mmvice.models import ClusterProbeHead
from mmvice.registry import LOOPS


@LOOPS.register_module()
class ClusterFitLoop(BaseLoop):
    """Fits the :class:`ClusterProbeHead` of a model (Sec. 4.3), as the training loop of a Runner.

    The first pass samples pixels of every image without labels, and k-means finds the clusters. The second pass counts
    the classes of the pixels of each cluster, and every cluster gets a class. For hooks, the fit is one epoch: the
    usual checkpoint hook writes ``epoch_1.pth``.

    Several processes share the images and get the same result as one. The pixels drawn from an image depend on its
    index in the dataset. A sampler may repeat images to give all processes equally many; each counts once.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader or dict): Labelled training images, each once and without augmentation.
        max_samples (int): Embeddings for k-means, over all processes. Every image gives equally many, at least one.
            Defaults to 200000.
        seed (int): Seed of the sample and of k-means. Defaults to 0.
        val_begin (int): Validate after the fit if it is 1 and a validation loop is configured. Defaults to 1.

    Raises:
        TypeError: If the model has no cluster probe.
        ValueError: If ``max_samples`` is not positive, or ``seed`` is not a valid seed for NumPy.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_samples: int = 200_000,
        seed: int = 0,
        val_begin: int = 1,
    ) -> None:
        super().__init__(runner, dataloader)
        if not isinstance(max_samples, int) or max_samples < 1:
            raise ValueError(f'max_samples must be a positive whole number, got {max_samples!r}')
        if not isinstance(seed, int) or not 0 <= seed < 2**32:
            raise ValueError(f'seed must be a whole number from 0 to 2**32 - 1, got {seed!r}')
        self.max_samples = max_samples
        self.seed = seed
        self.val_begin = val_begin
        self.val_interval = 1
        self.stop_training = False
        self._epoch = self._iter = 0
        self.runner.visualizer.dataset_meta = self.dataloader.dataset.metainfo

    @property
    def max_epochs(self) -> int:
        """The fit is one epoch."""
        return 1

    @property
    def max_iters(self) -> int:
        """The fit is one step for hooks and schedulers."""
        return 1

    @property
    def epoch(self) -> int:
        """1 after the fit."""
        return self._epoch

    @property
    def iter(self) -> int:
        """1 after the fit."""
        return self._iter

    @torch.no_grad()
    def run(self) -> torch.nn.Module:
        """Fit the probe, save it, and validate."""
        model = self.runner.model.module if is_model_wrapper(self.runner.model) else self.runner.model
        head = getattr(model, 'decode_head', None)
        if not isinstance(head, ClusterProbeHead):
            raise TypeError(f'ClusterFitLoop needs a model whose decode_head is a ClusterProbeHead, got {type(head)}')
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        if self._epoch < self.max_epochs:
            model.eval()
            self._fit(model, head)
            self._iter = 1
            self.runner.call_hook('after_train_epoch')
            self._epoch = 1
        if self.runner.val_loop is not None and self.val_begin <= 1:
            self.runner.val_loop.run()
        self.runner.call_hook('after_train')
        return self.runner.model

    def _fit(self, model: torch.nn.Module, head: ClusterProbeHead) -> None:
        samples = self._gather(self._sample(model))
        if is_main_process():
            print_log(f'k-means: {head.num_clusters} clusters of {len(samples)} embeddings', logger='current')
            error = head.fit_centroids(samples, self.seed)
            print_log(f'k-means: mean squared distance to the centroids {error:.4f}', logger='current')
        broadcast(head.centroids)
        counts = torch.zeros(head.num_clusters, head.num_classes, dtype=torch.int64, device=head.centroids.device)
        once = iter(self._first_of_its_image())
        for inputs, data_samples in self._batches(model, 'classes of clusters'):
            own = [next(once) for _ in data_samples]
            for places, embeddings in model.embed_sizes(inputs):
                new = [k for k, place in enumerate(places) if own[place]]
                labels = [data_samples[places[k]].gt_sem_seg.data.squeeze(0) for k in new]
                if new:
                    counts += head.count(head.assign(embeddings)[new], torch.stack(labels).to(counts.device))
        all_reduce(counts)
        head.match_classes(counts)
        agreement = counts.gather(1, head.cluster_classes[:, None]).sum() / counts.sum()
        print_log(f'clusters agree with {agreement:.2%} of the labelled training pixels', logger='current')

    def _indices(self) -> list[int]:
        """Dataset indices of the images of this process, in order.

        Raises:
            ValueError: If there are more than the dataset has, as from an endless sampler.
        """
        indices, most = [], len(self.dataloader.dataset)
        for batch in self.dataloader.batch_sampler:
            indices += map(int, batch)
            if len(indices) > most:
                raise ValueError(
                    f'{type(self.dataloader.sampler).__name__} gives more than the {most} images of the dataset, and '
                    "ClusterFitLoop takes each once: give train_dataloader.sampler=dict(type='DefaultSampler', "
                    'shuffle=False)'
                )
        return indices

    def _first_of_its_image(self) -> list[bool]:
        """Whether each image of this process is the first copy, over earlier ones and processes of lower rank."""
        seen, ranks = set(), all_gather_object(self._indices())
        first = [[not (index in seen or seen.add(index)) for index in indices] for indices in ranks]
        return first[get_rank()]

    def _sample(self, model: torch.nn.Module) -> np.ndarray:
        """Embeddings (n, P, D) of P random pixels from every image of this process."""
        num_images = len(self.dataloader.dataset)
        per_image = max(self.max_samples // num_images, 1)
        draws = np.random.RandomState(self.seed).randint(2**32, size=(num_images, per_image), dtype=np.uint32)
        drawn, indices = [], iter(self._indices())
        for inputs, _ in self._batches(model, 'embeddings for k-means'):
            own, of_image = [next(indices) for _ in inputs], {}
            for places, embeddings in model.embed_sizes(inputs):
                height, width = embeddings.size
                pixels = torch.from_numpy(draws[[own[place] for place in places]] % (height * width)).long()
                batch = torch.arange(len(embeddings))[:, None].expand_as(pixels)
                where = (index.flatten().to(inputs[0].device) for index in (batch, pixels // width, pixels % width))
                of_image |= zip(places, embeddings.sample(*where).cpu().float().unflatten(0, pixels.shape))
            drawn += [of_image[place] for place in range(len(own))]
        return torch.stack(drawn).numpy()

    def _gather(self, samples: np.ndarray) -> np.ndarray:
        """Embeddings (n, D) of all processes, by the index of their image in the dataset, each image once."""
        of_image = {}
        for indices, part in all_gather_object((self._indices(), samples)):
            of_image |= zip(indices, part)
        return np.concatenate([of_image[index] for index in sorted(of_image)])

    def _batches(
        self, model: torch.nn.Module, what: str
    ) -> Iterator[tuple[torch.Tensor | Sequence[torch.Tensor], Sequence]]:
        """Preprocessed batches, with a progress bar."""
        print_log(f'{what}: {len(self.dataloader)} batches', logger='current', level=logging.INFO)
        bar = ProgressBar(len(self.dataloader), file=sys.stderr) if is_main_process() else None
        for data in self.dataloader:
            data = model.data_preprocessor(data, False)
            yield data['inputs'], data['data_samples']
            if bar is not None:
                bar.update()
        if bar is not None:
            bar.file.write('\n')
