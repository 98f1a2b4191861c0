from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmvice.registry import DATA_SAMPLERS

from .seeded_sampling import SeededIndex


@DATA_SAMPLERS.register_module()
class SeededInfiniteSampler(Sampler):
    """An endless stream of seeded indices that can start at any position.

    Epoch e is a permutation drawn from (seed, e). The stream concatenates the epochs and distributes them to the ranks
    in turn. Every index carries (seed, e). Datasets with :class:`SeededItemMixin` seed their augmentation from it, so a
    resumed run sees the same samples as an uninterrupted one.

    Args:
        dataset: The dataset, or anything with its length.
        shuffle: Whether to permute; otherwise every epoch is in the dataset's order.
        seed: Non-negative int, the same on all ranks. By default a random one that rank 0 sends to all.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None) -> None:
        self.size = len(dataset)
        if self.size == 0:
            raise ValueError(f'cannot sample from an empty {dataset.__class__.__name__}')
        self.rank, self.world_size = get_dist_info()
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else int(seed)
        if self.seed < 0:
            raise ValueError(f'seed must not be negative, but is {self.seed}')
        self.start = 0

    def skip(self, num_samples: int) -> None:
        """Start the next iteration ``num_samples`` indices of this rank after the beginning of the stream.

        The cost is at most that of one epoch's permutation.
        """
        if num_samples < 0:
            raise ValueError(f'num_samples must not be negative, but is {num_samples}')
        self.start = num_samples

    def __iter__(self) -> Iterator[SeededIndex]:
        epoch, offset = divmod(self.start * self.world_size + self.rank, self.size)
        while True:
            order = self._order(epoch)
            for position in range(offset, self.size, self.world_size):
                yield SeededIndex(order[position], (self.seed, epoch))
                offset = position + self.world_size
            skipped, offset = divmod(offset, self.size)
            epoch += skipped

    def _order(self, epoch: int) -> np.ndarray:
        if not self.shuffle:
            return np.arange(self.size)
        return np.random.default_rng((self.seed, epoch)).permutation(self.size)

    def __len__(self) -> int:
        """Length of an epoch on this rank, rounded up."""
        return -(-self.size // self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Nothing to do: the stream counts its own epochs."""
