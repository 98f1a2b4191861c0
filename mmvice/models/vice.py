"""ViCE: learning visual concept embeddings from views that share regions."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModel
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from mmseg.utils import ConfigType, OptConfigType, OptMultiConfig
from torch import Tensor

from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap, ViewsDataSample

from .embedder import EmbedderMixin, build_preprocessor
from .heads import BaseMethodHead
from .utils import initialize


@MODELS.register_module()
class ViCE(EmbedderMixin, BaseModel):
    """Self-supervised learning of dense visual concept embeddings (Alg. 2).

    Args:
        backbone (dict): Config of the backbone.
        decoder (dict): Config of the decoder, see :mod:`mmvice.models.decoders`.
        head (dict): Config of the method's head, a :class:`BaseMethodHead`. Its ``embed_dims`` defaults to the
            decoder's.
        data_preprocessor (dict, optional): Config of :class:`ViCEDataPreprocessor`. Defaults to None.
        pretrained (str, optional): Initial weights of the backbone, or of backbone and decoder, and of the concepts if
            the file has them. It is a checkpoint file, a work folder (its latest checkpoint), or an address for
            MMEngine, such as ``torchvision://resnet18``. :mod:`mmvice.utils.weight_formats` has the known formats. The
            configs initialise all other weights. Defaults to None.
        frozen (tuple[str]): The parts, 'backbone' and 'decoder', that do not learn: evaluation mode, no gradients, no
            graph. Defaults to (): both learn.
        channels_last (bool): Use the channels-last memory format for weights and feature maps of the network. Defaults
            to False.
        compile (bool | dict): Run backbone and decoder through ``torch.compile``, with these arguments if it is a dict.
            The Runner's ``compile`` is another setting, which compiles the whole step. Defaults to False.
        train_cfg (None): ``mmseg.apis.init_model`` passes None to every model. Defaults to None.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        TypeError: If the head is not a head of a method.
        ValueError: If decoder and head differ in the size of an embedding.
    """

    def __init__(
        self,
        backbone: ConfigType,
        decoder: ConfigType,
        head: ConfigType,
        data_preprocessor: OptConfigType = None,
        pretrained: str | None = None,
        frozen: Sequence[str] = (),
        channels_last: bool = False,
        compile: bool | dict = False,
        train_cfg: None = None,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        if train_cfg is not None:
            raise ValueError(f'ViCE has no train_cfg={train_cfg!r}: take it out')
        super().__init__(data_preprocessor=build_preprocessor(data_preprocessor), init_cfg=init_cfg)
        self.build_embedder(backbone, decoder, channels_last, compile, frozen)
        self.head = MODELS.build({'embed_dims': self.embed_dims, **head})
        if not isinstance(self.head, BaseMethodHead):
            raise TypeError(
                f'model.head must be a BaseMethodHead, as DenseSwAVHead is, got a {type(self.head).__name__}'
            )
        if self.head.embed_dims != self.embed_dims:
            raise ValueError(
                f'decoder.embed_dims={self.embed_dims}, but head.embed_dims={self.head.embed_dims}: make them equal'
            )
        self.pretrained = pretrained
        # Each process has its own: DistributedDataParallel must not send those of the first to all. What is on the host
        # it cannot send beside a GPU.
        ignored = {*self.head.process_state, *self.head.host_buffers}
        self._ddp_params_and_buffers_to_ignore = [f'head.{name}' for name in sorted(ignored)]

    def init_weights(self) -> None:
        """Initialise all parts, the backbone from ``pretrained`` or the checkpoint that its ``init_cfg`` names.

        Raises:
            ValueError: If the file does not fit, or has unknown weights; the message lists them.
        """
        initialize(self, super().init_weights, self.pretrained)

    def forward(
        self, inputs: Tensor | Sequence[Tensor], data_samples: list | None = None, mode: str = 'tensor'
    ) -> dict[str, Tensor] | list[SegDataSample] | EmbeddingMap:
        """Run in one of MMEngine's three modes.

        Args:
            inputs: Normalised views or images (B, 3, H, W); for 'predict' also a list of images (3, H, W).
            data_samples: N :class:`ViewsDataSample` for 'loss'; B ``SegDataSample`` or None for 'predict'.
            mode: 'loss' returns a dict of losses and diagnostics, 'predict' a list of ``SegDataSample`` with the
                concept of every pixel, 'tensor' the :class:`EmbeddingMap`.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.embed(inputs)
        raise ValueError(f"mode must be 'loss', 'predict' or 'tensor', got {mode!r}")

    def loss(self, inputs: Tensor, data_samples: list[ViewsDataSample]) -> dict[str, Tensor]:
        """The losses of the head over the mutual regions of all views (Alg. 2).

        Args:
            inputs: Views (B, 3, h, w), B = N*M, image-major.
            data_samples: N samples with ``regions`` (M, h, w) and ``num_regions``.
        """
        embeddings = self.embed(inputs)
        if any('regions' not in sample for sample in data_samples):
            raise ValueError('a sample has no regions: end the pipeline with MutualRegions and PackViCEInputs')
        regions = torch.stack([sample.regions for sample in data_samples])
        num_regions = [sample.num_regions for sample in data_samples]
        return self.head.loss(embeddings, regions.flatten(0, 1), num_regions, num_views=regions.shape[1])

    @torch.no_grad()
    def predict(
        self, inputs: Tensor | Sequence[Tensor], data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Segment images into the learned concepts: every pixel gets the index of its nearest concept.

        Args:
            inputs: Images (B, 3, H, W), or a list of (3, H, W) for several sizes, not padded.
            data_samples: B samples to write the result into, or None for new ones.

        Returns:
            list: B samples; ``pred_sem_seg.data`` is int64 (1, h, w) in 0..K-1, at the sample's ``ori_shape`` if there
                is one, else at the size of the input.

        Raises:
            TypeError: If the method has no concepts.
        """
        unit_concepts = self.head.unit_concepts()
        if unit_concepts is None:
            raise TypeError(f'{type(self.head).__name__} has no concepts to segment images into: use a probe')
        data_samples = [SegDataSample() for _ in range(len(inputs))] if data_samples is None else data_samples
        for places, embeddings in self.embed_sizes(inputs):
            for b, sample in enumerate(data_samples[place] for place in places):
                size = sample.metainfo.get('ori_shape', embeddings.size)[:2]
                concepts = EmbeddingMap(embeddings.features[b : b + 1], size).argmax(unit_concepts)
                sample.set_data(dict(pred_sem_seg=PixelData(data=concepts)))
        return data_samples
