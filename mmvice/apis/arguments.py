"""Types of command-line arguments that tools share."""

import argparse

import torch


def positive(text: str) -> int:
    """An argparse type: an integer of at least 1."""
    return _integer(text, least=1)


def non_negative(text: str) -> int:
    """An argparse type: an integer of at least 0."""
    return _integer(text, least=0)


def choose_device(name: str) -> str:
    """The device that ``--device`` names; 'auto' is the GPU where there is one."""
    if name != 'auto':
        return name
    return 'cuda' if torch.cuda.is_available() else 'cpu'


def _integer(text: str, least: int) -> int:
    value = int(text)
    if value < least:
        raise argparse.ArgumentTypeError(f'must be at least {least}, got {value}')
    return value
