"""Reproducible samples behind wrappers of data sets, and in data sets of other projects."""

from collections.abc import Mapping
from typing import Any

from mmengine.registry import Registry
from torch.utils.data import Dataset

from mmvice.registry import DATA_SAMPLERS, DATASETS

from .samplers import SeededInfiniteSampler
from .seeded_sampling import SeededIndex, SeededItemMixin, seeded_generators


@DATASETS.register_module()
class SeededItems:
    """Seeds the items of any data set, as :class:`SeededItemMixin` does for those of mmvice.

    The wrappers of MMEngine, MMSegmentation and MMPretrain compute a new index and lose the seed of a
    :class:`SeededIndex`. The data sets of these projects ignore the seed. All other attributes are those of the data
    set, including ``__class__``, which MMEngine and mmvice use in messages.

    Args:
        dataset: The data set, or its config.
    """

    def __init__(self, dataset: Dataset | Mapping[str, Any]) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset

    def __getattr__(self, name: str) -> Any:
        if name == 'dataset':  # not there yet, as where a copy is made
            raise AttributeError(name)
        return getattr(self.dataset, name)

    @property
    def __class__(self) -> type:
        return type(self.dataset)

    def __reduce__(self) -> tuple[type, tuple[Dataset]]:
        return SeededItems, (self.dataset,)  # by the type: pickle would take __class__

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, idx: int) -> Any:
        if not isinstance(idx, SeededIndex):
            return self.dataset[idx]
        with seeded_generators(*idx.seed, int(idx)):
            return self.dataset[int(idx)]


def with_seeded_items(loader: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a data loader, with :class:`SeededItems` if its sampler gives seeds that its data set would ignore.

    Every sample of :class:`SeededInfiniteSampler` then depends only on (seed, epoch, index), in any data set.
    """
    dataset = class_of(loader.get('dataset'), DATASETS)
    sampler = class_of(loader.get('sampler'), DATA_SAMPLERS)
    seeds = sampler is not None and issubclass(sampler, SeededInfiniteSampler)
    if dataset is None or issubclass(dataset, (SeededItemMixin, SeededItems)) or not seeds:
        return dict(loader)
    return {**loader, 'dataset': dict(type=SeededItems, dataset=loader['dataset'])}


def class_of(part: Any, registry: Registry) -> type | None:
    """The class of a part or of its config; None if the config names none, which its builder reports."""
    if not isinstance(part, Mapping):
        return None if part is None else type(part)
    kind = part.get('type')
    kind = registry.get(kind) if isinstance(kind, str) else kind
    return kind if isinstance(kind, type) else None
