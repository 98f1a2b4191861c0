"""Trained models on single images."""

import logging
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmseg.structures import SegDataSample

from mmvice.datasets.network_scale import NetworkScale
from mmvice.engine.checks import warn_of_other_normalization
from mmvice.models import EmbedderMixin, head_of
from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap
from mmvice.utils.checkpoint import (
    differing_weights,
    load_checkpoint_file,
    register_safe_checkpoint_loading,
    resolve_checkpoint,
)
from mmvice.utils.console import use_console_without_run
from mmvice.utils.device import checked_device
from mmvice.utils.reading import decoding_of, read_image


def init_model(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | torch.device = 'cpu',
    cfg_options: dict | None = None,
) -> BaseModel:
    """Build the model of a config, load a checkpoint into it and switch it to evaluation.

    The model has the attributes ``cfg``, the config, and ``dataset_meta``, the checkpoint's description of its dataset:
    ``classes`` and ``palette`` for probes. Outside a run, log messages go to standard error.

    Args:
        config: A pretraining, probe or fine-tuning config.
        checkpoint: A checkpoint file of that config, or a work folder, which means its latest checkpoint. Every weight
            must fit. None keeps the initialisation of the config: random, or the pretrained weights that it names.
        device: Device of the model.
        cfg_options: Settings of the config to change.

    Raises:
        FileNotFoundError: If the config or checkpoint file does not exist.
        TypeError: If the config's model has no embeddings.
        ValueError: If the device does not exist, or the checkpoint does not fit; the message lists the differences.
        pickle.UnpicklingError: If the checkpoint holds more than weights and plain values.
    """
    use_console_without_run()
    device = checked_device(device)
    if not isinstance(config, Config):
        if not Path(config).is_file():
            raise FileNotFoundError(f'no config file at {config}')
        config = Config.fromfile(config)
    if cfg_options:
        config.merge_from_dict(cfg_options)
    init_default_scope(config.get('default_scope', 'mmvice'))
    if config.get('model') is None:
        raise ValueError(f'the config {config.filename} has no model')
    model = MODELS.build(config.model)
    if not isinstance(model, EmbedderMixin):
        raise TypeError(
            f'{type(model).__name__} gives no embeddings: use a config whose model is ViCE or ProbeSegmentor'
        )
    if checkpoint is None:
        register_safe_checkpoint_loading()
        model.init_weights()
        model.dataset_meta = {}
    else:
        model.dataset_meta = _load_strictly(model, checkpoint)
    warn_of_other_normalization(model)
    model.cfg = config
    return model.to(device).eval()


@torch.no_grad()
def embed_image(model: EmbedderMixin, image: str | Path | np.ndarray, size: int | None = None) -> EmbeddingMap:
    """Embed one image like the tools: resized to the scale of training and normalised by the config's settings.

    Args:
        model: A model of :func:`init_model`, in evaluation.
        image: Path of an image file, or the image as BGR uint8 (H, W, 3).
        size: Longest side in pixels. A larger image is downsized to it for the network. Defaults to None: the scale of
            training, as the config's resizing steps set it, see :class:`mmvice.datasets.network_scale.NetworkScale`.
            ``max(image.shape)`` keeps the full size.

    Returns:
        EmbeddingMap: One image at its original size (H, W), on the model's device.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be decoded, the array is no image or too long for its width, the size is invalid,
            or the preprocessor pads.
    """
    image = read_image(image, **decoding_of(model.cfg)) if isinstance(image, (str, Path)) else image
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(f'image must be BGR uint8 (H, W, 3), got {image.dtype} {image.shape}')
    seen = NetworkScale(model.cfg, size)(image)
    tensor = torch.from_numpy(np.ascontiguousarray(seen.transpose(2, 0, 1)))
    inputs = model.data_preprocessor(dict(inputs=[tensor], data_samples=[SegDataSample()]))['inputs']
    if inputs.shape[-2:] != tensor.shape[-2:]:
        raise ValueError(
            f'the data preprocessor pads an image of {tuple(tensor.shape[-2:])} to {tuple(inputs.shape[-2:])}: '
            'turn that off with cfg_options={"model.data_preprocessor.test_cfg": None}'
        )
    return EmbeddingMap(model.embed(inputs).features, image.shape[:2])


def _load_strictly(model: BaseModel, path: str | Path) -> dict:
    """Load every weight except the training state; return the checkpoint's description of its dataset."""
    path = resolve_checkpoint(path)
    checkpoint = load_checkpoint_file(path)
    given = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else {}
    own, head = model.state_dict(), head_of(model)
    if head is not None:
        given = dict(given)
        head.upgrade(given, 'head.')
        own, given = (
            {name: value for name, value in state.items() if head.needed_by_prediction(name.removeprefix('head.'))}
            for state in (own, given)
        )
    differences = differing_weights(own, given)
    if differences:
        raise ValueError(
            f'{path} does not fit this config ({type(model).__name__}); '
            f'give the config it was trained with:\n  {differences}'
        )
    model.load_state_dict(given, strict=False)
    print_log(f'Loaded {type(model).__name__} from {path}', logger='current', level=logging.INFO)
    return dict(checkpoint.get('meta', {}).get('dataset_meta') or {})
