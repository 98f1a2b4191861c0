"""Registries of scope ``mmvice``, each a child of MMSegmentation's.

A name is looked up in mmvice first, then in MMSegmentation, then in MMEngine, so ``type='FPN'`` in a config is
MMSegmentation's. Parts of MMPretrain carry its scope: ``type='mmpretrain.LARS'``.
"""

from mmengine.registry import FUNCTIONS as ENGINE_FUNCTIONS
from mmengine.registry import Registry

from mmvice.utils.console import log_loading, quiet_import

# Parts of mmvice import this module before all of OpenMMLab's. It loads whatever registers itself in MMSegmentation.
with quiet_import():
    import mmcv.cnn  # noqa: F401
    import mmpretrain.registry  # noqa: F401  hangs its registries under MMEngine's, so that 'mmpretrain.X' resolves
    import mmseg.datasets
    import mmseg.engine
    import mmseg.models
    from mmseg import registry as mmseg

log_loading()


def _child(parent: Registry, *locations: str) -> Registry:
    """A registry under ``parent``; the modules in ``locations`` are imported on the first look-up."""
    return Registry(parent.name, parent=parent, scope='mmvice', locations=list(locations))


DATASETS = _child(mmseg.DATASETS, 'mmseg.datasets', 'mmvice.datasets')
DATA_SAMPLERS = _child(mmseg.DATA_SAMPLERS, 'mmvice.datasets')
TRANSFORMS = _child(mmseg.TRANSFORMS, 'mmseg.datasets.transforms', 'mmvice.datasets.transforms')

MODELS = _child(mmseg.MODELS, 'mmseg.models', 'mmvice.models')
MODEL_WRAPPERS = _child(mmseg.MODEL_WRAPPERS, 'mmseg.models', 'mmvice.models')
WEIGHT_INITIALIZERS = _child(mmseg.WEIGHT_INITIALIZERS, 'mmseg.models')
TASK_UTILS = _child(mmseg.TASK_UTILS, 'mmseg.models')

RUNNERS = _child(mmseg.RUNNERS, 'mmvice.engine')
RUNNER_CONSTRUCTORS = _child(mmseg.RUNNER_CONSTRUCTORS)
LOOPS = _child(mmseg.LOOPS, 'mmvice.engine')
HOOKS = _child(mmseg.HOOKS, 'mmseg.engine.hooks', 'mmvice.engine')
LOG_PROCESSORS = _child(mmseg.LOG_PROCESSORS)
OPTIMIZERS = _child(mmseg.OPTIMIZERS, 'mmseg.engine.optimizers')
OPTIM_WRAPPERS = _child(mmseg.OPTIM_WRAPPERS, 'mmseg.engine.optimizers', 'mmvice.engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(mmseg.OPTIM_WRAPPER_CONSTRUCTORS, 'mmseg.engine.optimizers')
PARAM_SCHEDULERS = _child(mmseg.PARAM_SCHEDULERS, 'mmvice.engine')

METRICS = _child(mmseg.METRICS, 'mmseg.evaluation', 'mmvice.evaluation')
EVALUATOR = _child(mmseg.EVALUATOR, 'mmseg.evaluation')
VISUALIZERS = _child(mmseg.VISUALIZERS, 'mmseg.visualization', 'mmvice.visualization')
VISBACKENDS = _child(mmseg.VISBACKENDS, 'mmseg.visualization', 'mmvice.visualization')
INFERENCERS = _child(mmseg.INFERENCERS)
FUNCTIONS = _child(ENGINE_FUNCTIONS)  # MMSegmentation has none of its own
