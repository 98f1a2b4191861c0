"""Loggers, visualizers, scopes and the like, which MMEngine keeps by name and hands to whoever asks for the name."""

from mmengine.utils import ManagerMixin


def forget(instance: ManagerMixin) -> None:
    """Have MMEngine find an instance by its name no more; who holds it keeps it."""
    for known in _known(instance):
        if known.get(instance.instance_name) is instance:
            del known[instance.instance_name]


def make_current(instance: ManagerMixin) -> None:
    """Have ``get_current_instance`` of the class, and of those above it, give this instance."""
    forget(instance)
    for known in _known(instance):
        known[instance.instance_name] = instance


def _known(instance: ManagerMixin) -> list[dict[str, ManagerMixin]]:
    """By name, in the order in which they became current, for each of the instance's classes."""
    return [vars(kind)['_instance_dict'] for kind in type(instance).__mro__ if '_instance_dict' in vars(kind)]
