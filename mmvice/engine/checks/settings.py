"""Checks of settings at the top of a config: misspelled names, which MMEngine silently ignores, and values."""

import difflib
import inspect
import re
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

# What the Runner reads from its config beside its arguments, and what Config and the tools read.
_FURTHER_SETTINGS = (
    *('runner_type', 'model_wrapper_cfg', 'sync_bn', 'find_unused_parameters', 'compile'),
    *('activation_checkpointing', 'efficient_conv_bn_eval', 'custom_imports', 'tta_pipeline', 'tta_model'),
)
SETTINGS = (*(name for name in inspect.signature(Runner).parameters if name != 'cfg'), *_FURTHER_SETTINGS)
"""The names at the top of a config that something reads."""
# So do configs call variables that others may build on, and one such name is a setting.
_VARIABLE = '_pipeline'
_SIMILARITY = 0.8  # of the 1700 configs of MMSegmentation and MMPretrain, one has an unused name this near to a setting
_LAYER_DECAY = 'mmpretrain.LearningRateDecayOptimWrapperConstructor'
_OF_MMSEG = ('LearningRateDecayOptimizerConstructor', 'LayerDecayOptimizerConstructor')
_LOG_LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')


def check_setting_names(cfg: Config) -> None:
    """Refuse a name at the top of a config that is similar to a setting, and remove variables with such a name.

    Any other name is a variable of the config, such as a setting's name with words before or after it
    (``small_val_dataloader``). A similar name is also a variable if the text of the config or of a base config uses it.
    It is removed after reading: the config that a run writes has its values instead, and would not use it. In configs
    that earlier versions wrote, a variable is recognised by its value, which a setting has too.

    Args:
        cfg: A config with all its changes.

    Raises:
        ValueError: For the first such name; the message has the similar setting.
    """
    for name in list(cfg):
        if name in SETTINGS or name.endswith(_VARIABLE):
            continue
        near = difflib.get_close_matches(name.lower(), SETTINGS, n=1, cutoff=_SIMILARITY)
        if not near or re.fullmatch(rf'.+_{near[0]}|{near[0]}_.+', name):
            continue
        if (
            _is_import(cfg[name])
            or _is_used(name, cfg.text)
            or _is_value(cfg[name], [cfg[setting] for setting in SETTINGS if setting in cfg])
        ):
            del cfg._cfg_dict[name]
        else:
            raise ValueError(
                f"'{name}' is not a setting, and nothing in {cfg.filename or 'the config'} uses it: did you mean "
                f"'{near[0]}'? Give an unused variable of your own a less similar name"
            )


def _check_layer_decay(cfg: Config) -> None:
    """Refuse layer-wise learning rates that MMEngine would pass over, or that MMSegmentation has for few backbones."""
    optim_wrapper, model = cfg.get('optim_wrapper') or {}, cfg.get('model') or {}
    constructor = str(optim_wrapper.get('constructor') or '').rpartition('.')[2]
    paramwise = optim_wrapper.get('paramwise_cfg') or {}
    if 'layer_decay_rate' in paramwise and not constructor:
        raise ValueError(
            f'optim_wrapper.paramwise_cfg.layer_decay_rate={paramwise["layer_decay_rate"]} is not used by the default '
            f"constructor: add optim_wrapper.constructor='{_LAYER_DECAY}'"
        )
    backbone = str((model.get('backbone') or {}).get('type'))
    own = str(model.get('type')).rpartition('.')[2] in ('ViCE', 'ProbeSegmentor')
    if constructor in _OF_MMSEG and own and not any(name in backbone for name in ('ConvNeXt', 'BEiT', 'MAE')):
        raise ValueError(
            f'optim_wrapper.constructor={constructor} knows the layers of ConvNeXt, BEiT and MAE alone, not of '
            f"{backbone}: take optim_wrapper.constructor='{_LAYER_DECAY}' with "
            'paramwise_cfg=dict(layer_decay_rate=0.75)'
        )


def _is_value(value: Any, part: Any) -> bool:
    """Whether a part of a config contains a non-empty dict or list."""
    if not isinstance(value, (dict, list, tuple)) or not value:
        return False
    entries = part.values() if isinstance(part, dict) else part if isinstance(part, (list, tuple)) else ()
    return any(entry == value or _is_value(value, entry) for entry in entries)


def _is_import(value: Any) -> bool:
    """Whether a config of Python's own imports has it from one of these."""
    return callable(value) or inspect.ismodule(value)


def _is_used(name: str, text: str) -> bool:
    """Whether a text contains the name other than before an equals sign."""
    return re.search(rf'\b{re.escape(name)}\b(?!\s*=(?!=))', text) is not None


def check_setting_values(cfg: Config) -> None:
    """Refuse invalid values that MMEngine uses outside the objects that it builds.

    Raises:
        ValueError: For the first such value.
    """
    for name in ('max_iters', 'max_epochs', 'val_interval'):
        value = (cfg.get('train_cfg') or {}).get(name)
        if value is not None and (not isinstance(value, (int, float)) or not value > 0):
            raise ValueError(f'train_cfg.{name} must be a number above 0, got {value!r}')
    seed = (cfg.get('randomness') or {}).get('seed')
    if seed is not None and (not isinstance(seed, int) or not 0 <= seed < 2**32):
        raise ValueError(f'randomness.seed must be a whole number from 0 to 2**32 - 1, or None, got {seed!r}')
    level = cfg.get('log_level', 'INFO')
    if level not in _LOG_LEVELS and not isinstance(level, int):
        raise ValueError(f'log_level must be one of {", ".join(_LOG_LEVELS)}, got {level!r}')
    _check_layer_decay(cfg)
    keys = ((cfg.get('optim_wrapper') or {}).get('paramwise_cfg') or {}).get('custom_keys') or {}
    for key, value in keys.items():
        if not isinstance(value, dict):
            raise ValueError(
                f'optim_wrapper.paramwise_cfg.custom_keys.{key} must be a dict such as dict(lr_mult=0.1), got {value!r}'
            )
