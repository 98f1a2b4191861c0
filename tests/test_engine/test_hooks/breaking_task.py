"""Training that breaks in a chosen step, for configs that name this module in ``custom_imports``."""

import torch
from mmengine.dist import get_rank
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmvice.registry import DATASETS, MODELS
from mmvice.structures import ViewsDataSample

CONFIG = """
default_scope = 'mmvice'
custom_imports = dict(imports=['breaking_task'], allow_failed_imports=False)
randomness = dict(seed=0)
model = dict(type='BreakingModel')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
train_dataloader = dict(
    batch_size=2, dataset=dict(type='NamedPoints'), sampler=dict(type='DefaultSampler', shuffle=False)
)
train_cfg = dict(by_epoch=False, max_iters=6)
default_hooks = dict(
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1),
    invalid_loss=dict(type='CheckInvalidLossHook'),
)
"""


@DATASETS.register_module()
class NamedPoints(Dataset):
    """Twenty-four points with the names of images."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> dict:
        sample = ViewsDataSample(metainfo=dict(img_path=f'images/{index:02d}.jpg', num_regions=1, ori_shape=(4, 4)))
        sample.regions = torch.full((2, 4, 4), index, dtype=torch.int32)
        return dict(inputs=torch.tensor([float(index), 1.0]), data_samples=sample)


@MODELS.register_module()
class BreakingModel(BaseModel):
    """A line fitted to zero.

    Args:
        step (int): The step, from 1 on, that breaks.
        what (str): 'loss' is then NaN, 'inf' is inf, 'gradient' has a NaN under a finite loss, 'none' breaks nothing,
            'diagnostic' is a NaN in what is no loss.
        rank (int): The process where it breaks.
    """

    def __init__(self, step: int = 3, what: str = 'loss', rank: int = 0) -> None:
        super().__init__()
        self.line = nn.Linear(2, 1)
        self.step, self.what, self.rank, self.steps = step, what, rank, 0

    def forward(self, inputs: list[Tensor], data_samples: list[ViewsDataSample], mode: str = 'tensor') -> dict:
        self.steps += 1
        out = self.line(torch.stack(list(inputs)))
        loss, diagnostic = out.square().mean(), out.detach().mean()
        if self.steps == self.step and get_rank() == self.rank:
            if self.what == 'loss':
                loss = loss * torch.nan
            elif self.what == 'inf':
                loss = loss + torch.inf
            elif self.what == 'gradient':
                loss = loss + (out * 0).sqrt().sum()  # the slope of a square root at zero
            elif self.what == 'diagnostic':
                diagnostic = diagnostic * torch.nan
        return dict(loss=loss, diagnostic=diagnostic)
