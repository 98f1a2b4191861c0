"""MMEngine's named global instances, such as loggers, visualizers and scopes."""

from mmengine.utils import ManagerMixin


def forget(instance: ManagerMixin) -> None:
    """Remove an instance from MMEngine's names; existing references stay valid."""
    for known in _known(instance):
        if known.get(instance.instance_name) is instance:
            del known[instance.instance_name]


def make_current(instance: ManagerMixin) -> None:
    """Make ``get_current_instance`` of the class and of its base classes return this instance."""
    forget(instance)
    for known in _known(instance):
        known[instance.instance_name] = instance


def _known(instance: ManagerMixin) -> list[dict[str, ManagerMixin]]:
    """Instances by name, in the order in which they became current, for each of the instance's classes."""
    return [vars(kind)['_instance_dict'] for kind in type(instance).__mro__ if '_instance_dict' in vars(kind)]
