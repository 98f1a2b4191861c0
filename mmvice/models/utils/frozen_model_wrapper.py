"""A model wrapper for several processes when nothing is trained by gradients."""

from typing import Any

from mmengine.registry import MODEL_WRAPPERS
from torch import nn


# In MMEngine's own registry: its Runner looks a wrapper up there, outside the default scope.
@MODEL_WRAPPERS.register_module()
class FrozenModelWrapper(nn.Module):
    """Passes every call to its model, since DistributedDataParallel refuses a model without trainable parameters.

    Args:
        module (nn.Module): The model.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args, **kwargs) -> Any:
        """Run the model."""
        return self.module(*args, **kwargs)

    def val_step(self, data: dict | tuple | list) -> list:
        """Predict for validation."""
        return self.module.val_step(data)

    def test_step(self, data: dict | tuple | list) -> list:
        """Predict for a test."""
        return self.module.test_step(data)
