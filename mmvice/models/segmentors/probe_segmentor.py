"""A segmentor of MMSegmentation: an embedder, frozen or not, and a probe."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.logging import print_log
from mmengine.structures import PixelData
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.structures import SegDataSample
from mmseg.utils import ConfigType, OptConfigType, OptMultiConfig, OptSampleList, SampleList, stack_batch
from torch import Tensor

from mmvice.models.embedder import EmbedderMixin, build_preprocessor
from mmvice.models.utils import initialize, load_pretrained
from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap


@MODELS.register_module()
class ProbeSegmentor(EmbedderMixin, BaseSegmentor):
    """Measures embeddings: a probe on the backbone and decoder of a ViCE model, frozen and in eval mode (Sec. 4.3).

    Args:
        backbone (dict): Config of the backbone, as in pretraining.
        decoder (dict): Config of the decoder, as in pretraining.
        decode_head (dict): Config of a :class:`LinearProbeHead` or :class:`ClusterProbeHead`. Its ``in_channels``
            defaults to the decoder's ``embed_dims``.
        embedder_checkpoint (str, optional): Checkpoint of the pretrained ViCE model, or the work folder of its run,
            which means its latest checkpoint. It may have any format of :mod:`mmvice.utils.weight_formats` that
            includes a decoder. None keeps the initialisation of the configs: random, or the backbone's own pretrained
            weights. The checkpoint is read when a training starts. A checkpoint of the probe includes the embedder.
            Defaults to None.
        frozen (tuple[str]): The parts, 'backbone' and 'decoder', that do not learn: evaluation mode, no gradients, no
            graph. With () both train with the probe, end to end: an upper bound for pretraining, from the same network
            with labels. Defaults to both: only the probe trains.
        freeze_embedder (bool, optional): Former name: True is ``frozen=('backbone', 'decoder')``, False ``frozen=()``.
        data_preprocessor (dict, optional): Config of the preprocessor. Defaults to None.
        train_cfg (dict, optional): Handed to the head. Defaults to None.
        test_cfg (dict, optional): ``mode`` must be 'whole': embeddings are measured on whole images (Sec. 4.3). With
            ``seg_logits=True`` predictions include logits, which test-time augmentation needs. Computing only the
            classes is much faster. Defaults to None.
        pretrained (str, optional): Initial weights of the backbone alone, or of backbone and decoder if the file has
            both, as of :class:`ViCE`. The file is read when a training starts. If it has no decoder, a decoder with
            weights keeps its initialisation, and a warning says so. Defaults to None.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: If head and decoder differ in the size of an embedding, or ``test_cfg`` sets another mode.
    """

    def __init__(
        self,
        backbone: ConfigType,
        decoder: ConfigType,
        decode_head: ConfigType,
        embedder_checkpoint: str | None = None,
        frozen: Sequence[str] = ('backbone', 'decoder'),
        freeze_embedder: bool | None = None,
        data_preprocessor: OptConfigType = None,
        train_cfg: OptConfigType = None,
        test_cfg: OptConfigType = None,
        pretrained: str | None = None,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        if pretrained is not None and embedder_checkpoint is not None:
            raise ValueError(
                f'model.pretrained={pretrained!r} and model.embedder_checkpoint={embedder_checkpoint!r} both name '
                'weights of the embedder: set one of them to None'
            )
        super().__init__(data_preprocessor=build_preprocessor(data_preprocessor), init_cfg=init_cfg)
        if freeze_embedder is not None:
            frozen = ('backbone', 'decoder') if freeze_embedder else ()
            print_log(
                f'model.freeze_embedder={freeze_embedder} is now called frozen={frozen}', 'current', logging.WARNING
            )
        self.build_embedder(backbone, decoder, frozen=frozen)
        self.decode_head = MODELS.build({'in_channels': self.embed_dims, **decode_head})
        if self.decode_head.embed_dims != self.embed_dims:
            raise ValueError(
                f'decoder.embed_dims={self.embed_dims}, but decode_head.in_channels={self.decode_head.embed_dims}: '
                'leave in_channels out, or make them equal'
            )
        if (test_cfg or {}).get('mode', 'whole') != 'whole':
            raise ValueError(f"ProbeSegmentor predicts whole images: test_cfg.mode must be 'whole', got {test_cfg}")
        self.embedder_checkpoint = embedder_checkpoint
        self.pretrained = pretrained
        self.train_cfg = train_cfg
        self.test_cfg = test_cfg
        self.align_corners = self.decode_head.align_corners
        self.num_classes = self.decode_head.num_classes
        self.out_channels = self.decode_head.out_channels

    def init_weights(self) -> None:
        """Initialise the probe, and the embedder from ``embedder_checkpoint`` or ``pretrained``.

        Raises:
            FileNotFoundError, ValueError: If the file is missing, or does not fit.
        """
        if self.embedder_checkpoint is not None:
            self.backbone.init_cfg = None
            super().init_weights()
            load_embedder(self, self.embedder_checkpoint)
            return
        loaded = initialize(self, super().init_weights, self.pretrained)
        weights = next(self.decoder.parameters(), None)
        if loaded is not None and weights is not None and not loaded.part('decoder.') and 'decoder' in self.frozen:
            print_log(
                f'{loaded.source} has no decoder: the probe measures the {type(self.decoder).__name__} with the random '
                'weights of its config',
                logger='current',
                level=logging.WARNING,
            )

    def extract_feat(self, inputs: Tensor) -> EmbeddingMap:
        """MMSegmentation's name for :meth:`embed`."""
        return self.embed(inputs)

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Class logits (B, classes, H, W) of images (B, 3, H, W)."""
        return self.decode_head.predict(self.extract_feat(inputs), batch_img_metas, self.test_cfg)

    def loss(self, inputs: Tensor | Sequence[Tensor], data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of the probe on a batch of images with ``gt_sem_seg``: (B, 3, H, W), or a list of (3, H, W)."""
        if set(self.frozen) != {'backbone', 'decoder'} and not isinstance(inputs, Tensor):
            # batch norm of an embedder that learns takes its statistics from one batch, and in every process from one
            inputs, data_samples = stack_batch(inputs, data_samples, size_divisor=1)
        maps = self.embed_sizes(inputs)
        data_samples = [data_samples[place] for places, _ in maps for place in places]
        losses = self.decode_head.loss([embeddings for _, embeddings in maps], data_samples, self.train_cfg)
        return {f'decode.{name}': value for name, value in losses.items()}

    @torch.no_grad()
    def predict(self, inputs: Tensor | Sequence[Tensor], data_samples: OptSampleList = None) -> SampleList:
        """Segment whole images, (B, 3, H, W) or a list of (3, H, W); the result has each image's original size.

        Returns:
            list: ``SegDataSample`` with ``pred_sem_seg`` (1, H, W), and with ``seg_logits`` (classes, H, W) if
            ``test_cfg`` asks for them.
        """
        if data_samples is None:
            data_samples = [SegDataSample(metainfo=dict(ori_shape=image.shape[1:])) for image in inputs]
        for places, maps in self.embed_sizes(inputs):
            samples = [data_samples[place] for place in places]
            if (self.test_cfg or {}).get('seg_logits') or any(map(_is_moved, samples)):
                metas = [sample.metainfo for sample in samples]
                self.postprocess_result(self.decode_head.predict(maps, metas, self.test_cfg), samples)
                continue
            for b, sample in enumerate(samples):
                embeddings = EmbeddingMap(maps.features[b : b + 1], sample.ori_shape)
                sample.set_data(dict(pred_sem_seg=PixelData(data=self.decode_head.classify(embeddings))))
        return data_samples

    def _forward(self, inputs: Tensor, data_samples: OptSampleList = None) -> Tensor:
        return self.decode_head(self.extract_feat(inputs))


def _is_moved(sample: SegDataSample) -> bool:
    """Whether the input was padded or flipped, so that pixels have moved."""
    padding = sample.get('img_padding_size', sample.get('padding_size', [0]))
    return bool(any(padding) or sample.get('flip'))


def load_embedder(model: EmbedderMixin, checkpoint: str) -> None:
    """Load backbone and decoder from a checkpoint of any known format, every weight of them.

    Args:
        model: The model to load into.
        checkpoint: Path of the checkpoint, or of a work folder, which means its latest checkpoint.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If a weight is missing, unused or of another shape, or no rule of the format covers it; the message
            lists them. Also if the file has no decoder.
    """
    if '://' not in str(checkpoint) and not Path(checkpoint).expanduser().exists():
        raise FileNotFoundError(
            f'there is no {checkpoint}, which model.embedder_checkpoint names: pretrain that model first, or name '
            'another checkpoint or work folder (--cfg-options model.embedder_checkpoint=PATH; None for random weights)'
        )
    load_pretrained(model, checkpoint, whole=True)
