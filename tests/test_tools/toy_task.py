"""The smallest thing that a Runner can train and test, for configs that name this module in ``custom_imports``."""

import torch
from mmengine.dist import get_rank
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmvice.registry import DATASETS, METRICS, MODELS


@DATASETS.register_module()
class ToyPoints(Dataset):
    """Eight points in the plane."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict:
        return dict(inputs=torch.tensor([float(index), 1.0]), data_samples=index)


@MODELS.register_module()
class ToyModel(BaseModel):
    """A line fitted to zero, which notes under which number type it ran."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(2, 1)
        self.register_buffer('in_bfloat16', torch.tensor(False))
        self.register_buffer('seen', torch.zeros(8))

    def forward(self, inputs: list[Tensor], data_samples: list[int], mode: str = 'tensor') -> dict | list:
        inputs = torch.stack(list(inputs))
        out = self.line(inputs)
        if mode == 'predict':
            return [dict(index=int(index)) for index in data_samples]
        self.in_bfloat16.fill_(out.dtype == torch.bfloat16)
        self.seen[inputs[:, 0].long()] += 1
        return dict(loss=out.float().square().mean())


@METRICS.register_module()
class ToyMetric(BaseMetric):
    """Counts the points it has seen, whoever saw them."""

    def process(self, data_batch: dict, data_samples: list[dict]) -> None:
        self.results += [(sample['index'], get_rank()) for sample in data_samples]

    def compute_metrics(self, results: list) -> dict:
        return dict(mIoU=float(len({index for index, _ in results})), aAcc=float(len({rank for _, rank in results})))
