"""What heads with concepts share: their settings, the count of iterations, and the unit sphere."""

from collections.abc import MutableMapping

import torch
from mmseg.utils import OptMultiConfig
from torch import Tensor, nn

from mmvice.models.utils import CollapseMonitor
from mmvice.utils.device import to_double

from .base import BaseMethodHead, check_counts
from .regions import REDUCTIONS


class ConceptHead(BaseMethodHead):
    """Concepts on the unit sphere, by which regions are scored.

    The concepts are put on the sphere when they are drawn, after every step of the optimizer, and when a training loads
    them. :meth:`BaseMethodHead.unit_concepts` says how.

    Args:
        embed_dims (int): Channels D of an embedding. Defaults to 128.
        num_concepts (int): Number of concepts K. Defaults to 128.
        temperature (float): Softmax temperature of the predictions, tau of Eq. 4. Defaults to 0.1.
        reduction (str): What counts alike in the loss: 'image' the images, and the regions of each (Eq. 4, Alg. 3);
            'region' the regions of the batch, as in the authors' code; 'area' the pixels of the primary views that lie
            in regions. Defaults to 'image'.
        normalize_pixels (bool): True averages unit pixel embeddings over a region, as the paper; False averages
            features and normalises then, as the reference code. Defaults to True.
        monitor_interval (int): Iterations between two looks at the diagnostics for signs of collapse. Defaults to 50.
        monitor_patience (int): Iterations in which the concepts learn before the first judgement. Defaults to 500.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: If an argument is out of range.
    """

    training_state = ('monitor',)
    remedies = 'make batches larger'
    """What helps against a collapse, beside a lower learning rate or a longer warm-up."""

    def __init__(
        self,
        embed_dims: int = 128,
        num_concepts: int = 128,
        temperature: float = 0.1,
        reduction: str = 'image',
        normalize_pixels: bool = True,
        monitor_interval: int = 50,
        monitor_patience: int = 500,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(embed_dims, init_cfg)
        check_counts(monitor_patience=monitor_patience)
        if num_concepts < 2 or monitor_interval < 1:
            raise ValueError(
                f'need num_concepts >= 2 and monitor_interval >= 1, got {num_concepts} and {monitor_interval}'
            )
        if not temperature > 0:
            raise ValueError(f'temperature must be positive, got {temperature}')
        if reduction not in REDUCTIONS:
            raise ValueError(f'reduction must be one of {", ".join(map(repr, REDUCTIONS))}, got {reduction!r}')
        self.num_concepts = num_concepts
        self.temperature = temperature
        self.reduction = reduction
        self.normalize_pixels = normalize_pixels
        self.register_count('steps')  # iterations so far
        self.monitor = CollapseMonitor(num_concepts, monitor_interval, monitor_patience, remedies=self.remedies)

    def draw_concepts(self, learned: bool) -> None:
        """Draw the concepts; learned ones are a parameter, others a buffer."""
        concepts = torch.randn(self.num_concepts, self.embed_dims)
        if learned:
            self.concepts = nn.Parameter(concepts)
        else:
            self.register_buffer('concepts', concepts)
        for _ in range(2):  # a second time changes last digits alone: those that every seed has given so far
            self._put_on_sphere()

    def extra_repr(self) -> str:
        """The numbers that identify the head in a printed model."""
        return f'embed_dims={self.embed_dims}, num_concepts={self.num_concepts}'

    def after_step(self) -> None:
        """Put the concepts back on the unit sphere, which a step leaves."""
        self._put_on_sphere()

    @torch.no_grad()
    def _put_on_sphere(self) -> None:
        self.concepts.copy_(self.unit_concepts())

    def upgrade(self, state: MutableMapping[str, Tensor], prefix: str = '') -> None:
        """Begin the monitor's means where there are none."""
        if f'{prefix}concepts' in state:
            for name, value in self.monitor.state_dict(prefix=f'{prefix}monitor.').items():
                state.setdefault(name, value)

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        is_average = not self.concepts.requires_grad  # of MMEngine's EMAHook: its rows must keep their lengths
        if not is_average and not _have_unit_length(self.concepts):
            self._put_on_sphere()


def _have_unit_length(vectors: Tensor) -> bool:
    """Whether rows have unit length to within rounding; such rows of a checkpoint are taken bit for bit."""
    return bool(((to_double(vectors).norm(dim=1) - 1).abs() < 1e-5).all())
