"""Any decode head of MMSegmentation as a decoder of embeddings."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from mmseg.utils import ConfigType, OptConfigType, OptMultiConfig
from torch import Tensor

from mmvice.registry import MODELS


@MODELS.register_module()
class SegHeadDecoder(BaseModule):
    """A decode head of MMSegmentation whose classifier gives the D channels of the embedding.

    With ``DepthwiseSeparableASPPHead`` it is the DeepLabV3+ decoder of the paper's high-resolution models. With ``FPN``
    as neck and ``FPNHead`` it is the Semantic FPN (Sec. 4.1).

    Args:
        head (dict): Config of the decode head, without ``num_classes``.
        embed_dims (int): Channels D of the embedding. Defaults to 128.
        neck (dict, optional): Config of a neck in front of the head. Defaults to None.
        init_cfg (dict, optional): Initialization config. Defaults to None: the head's own.
    """

    def __init__(
        self,
        head: ConfigType,
        embed_dims: int = 128,
        neck: OptConfigType = None,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg)
        self.embed_dims = embed_dims
        self.neck = None if neck is None else MODELS.build(neck)
        self.head = MODELS.build(dict(dropout_ratio=0, **head, num_classes=embed_dims, out_channels=embed_dims))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Decode a pyramid [(B, C_s, h_s, w_s)] into (B, D, h, w)."""
        if self.neck is not None:
            features = self.neck(features)
        return self.head(features)
