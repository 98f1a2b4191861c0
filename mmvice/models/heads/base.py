"""What the rest of mmvice asks of a method's head."""

from abc import ABCMeta, abstractmethod
from collections.abc import Mapping, MutableMapping, Sequence
from types import MappingProxyType

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.utils import OptMultiConfig
from torch import Tensor, nn

from mmvice.ops import largest_magnitude, reciprocal_power_of_two
from mmvice.structures import EmbeddingMap


class HostBuffersMixin:
    """Buffers that stay on the host wherever the module goes: a step reads them without waiting for a GPU."""

    host_buffers: tuple[str, ...] = ()
    """Names of these buffers."""

    def register_count(self, name: str) -> None:
        """Register a buffer of one whole number, which begins with 0."""
        self.register_buffer(name, torch.tensor(0, device='cpu'))
        self.host_buffers = (*self.host_buffers, name)

    def _apply(self, fn, *args, **kwargs) -> nn.Module:
        kept = {name: self._buffers[name] for name in self.host_buffers}
        super()._apply(fn, *args, **kwargs)
        self._buffers.update(kept)
        return self

    def count_up(self, name: str, number: int) -> None:
        """Add to a buffer of one number."""
        self._buffers[name] = torch.tensor(int(self._buffers[name]) + number, device='cpu')


class BaseMethodHead(HostBuffersMixin, BaseModule, metaclass=ABCMeta):
    """The objective of a method: what trains the embeddings of a model with ``backbone``, ``decoder`` and ``head``.

    Models, hooks, pictures, checkpoints and benchmarks know a head by this class alone. A method of one's own is a
    registered subclass with :meth:`loss`; everything else has a default. A method with concepts, into which images are
    cut, keeps them as a parameter or buffer ``concepts`` (K, D).

    ``unit_region_means`` and ``region_weights`` of :mod:`mmvice.models.heads.regions` turn the arguments of
    :meth:`loss` into embeddings of regions and their weights; ``sum_over_processes`` of :mod:`mmvice.ops` makes sums
    those of all processes, with the gradients that DistributedDataParallel expects.

    Args:
        embed_dims (int): Channels D of an embedding; the model gives those of its decoder.
        init_cfg (dict, optional): Initialization config. Defaults to None.
    """

    process_state: tuple[str, ...] = ()
    """Buffers that belong to a process. A checkpoint has those of all processes, and each gets its own again."""

    training_state: tuple[str, ...] = ()
    """Buffers and modules that are needed to resume a training, and not to predict. Those of ``process_state`` count
    as such by themselves."""

    settings_in_steps: tuple[str, ...] = ()
    """Arguments that count iterations, as MMEngine does: batches, of which several make one step of the optimizer where
    gradients accumulate. They follow the batch size where a recipe is scaled to other GPUs."""

    settings_per_process: tuple[str, ...] = ()
    """Arguments that count rows of each process. They keep their sum where a recipe is scaled to other GPUs."""

    timed_parts: Mapping[str, str] = MappingProxyType({})
    """Methods that :meth:`loss` calls and whose time benchmarks measure, with the name of what they do."""

    def __init__(self, embed_dims: int, init_cfg: OptMultiConfig = None) -> None:
        super().__init__(init_cfg)
        if embed_dims < 1:
            raise ValueError(f'embed_dims must be at least 1, got {embed_dims}')
        self.embed_dims = embed_dims

    @abstractmethod
    def loss(
        self, embeddings: EmbeddingMap, regions: Tensor, num_regions: Sequence[int], num_views: int
    ) -> dict[str, Tensor]:
        """Losses and diagnostics of a batch of N images with M views each.

        It changes nothing that backward still needs: that is for :meth:`after_step`.

        Args:
            embeddings: Maps of B = N*M views, image-major: b = n*M + m; view 0 is the primary one.
            regions: (B, H, W) integers: a region of an image has the same id in all its views; -1 for no region.
            num_regions: N ints, the number of mutual regions I of every image.
            num_views: M >= 2.

        Returns:
            dict: Scalars. The sum of those whose name contains ``loss`` is minimised; all are logged.
        """

    def after_step(self) -> None:
        """Called once after every optimizer step, in every process: after several losses if they accumulate."""

    def unit_concepts(self) -> Tensor | None:
        """The concepts (K, D) at unit length, without gradient, whatever the length of their rows is; None without."""
        if getattr(self, 'concepts', None) is None:
            return None
        rows = self.concepts.detach()
        # a power of two rounds nothing, and no length overflows or vanishes
        return F.normalize(rows * reciprocal_power_of_two(largest_magnitude(rows, 1)), dim=1)

    def deal_out(self, states: Sequence[dict[str, Tensor]], num_processes: int) -> list[dict[str, Tensor]]:
        """The ``process_state`` of some processes for another number of them.

        Raises:
            ValueError: If the method has no way to do so.
        """
        raise ValueError(
            f'{type(self).__name__} cannot go on with {num_processes} processes from a checkpoint of {len(states)}: '
            f'train with {len(states)}'
        )

    def upgrade(self, state: MutableMapping[str, Tensor], prefix: str = '') -> None:
        """Turn names of an older mmvice into today's, in place, in a state dict whose names begin with ``prefix``."""

    def enter_steady_state(self) -> None:
        """Go to where a run spends most of its steps, for measuring their time."""

    def needed_by_prediction(self, name: str) -> bool:
        """Whether a weight of this name, without the head's prefix, is more than state of a training."""
        return not any(f'{name}.'.startswith(f'{part}.') for part in (*self.process_state, *self.training_state))

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args, **kwargs) -> None:
        self.upgrade(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def head_of(model: nn.Module) -> BaseMethodHead | None:
    """The head of a method in a model, which may be wrapped for several processes; None where there is none."""
    head = getattr(getattr(model, 'module', model), 'head', None)
    return head if isinstance(head, BaseMethodHead) else None


def check_counts(**values: int) -> None:
    """ValueError unless all are whole numbers of at least 0; the message has the name."""
    for name, value in values.items():
        if not isinstance(value, int) or value < 0:
            raise ValueError(f'{name} must be a whole number of at least 0, got {value!r}')
