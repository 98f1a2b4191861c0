"""What is done for accelerators other than CUDA, whose modules of PyTorch are put in place here."""

from types import SimpleNamespace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from mmvice.engine.hooks.embedding_visualization_hook import undisturbed
from mmvice.experiments.step_times import TimedTraining
from mmvice.experiments.timing import PhaseTimer
from mmvice.utils import device as devices
from mmvice.utils.device import checked_device, device_name, kept_random_state, synchronize, to_double

KINDS = ['mps', 'xpu:1', 'cuda:0']


class Accelerator:
    """The module of PyTorch for a kind of device: random numbers that are a counter, and who waited."""

    def __init__(self, kind: str) -> None:
        self.state, self.waits = 5, []
        if kind == 'mps':
            self.synchronize = lambda: self.waits.append(None)
        else:
            self.synchronize = self.waits.append
            self.get_device_name = lambda device: f'card {device.index}'

    def get_rng_state(self, device: torch.device) -> int:
        return self.state

    def set_rng_state(self, state: int, device: torch.device) -> None:
        self.state = state


@pytest.fixture(params=KINDS)
def device(request) -> torch.device:
    return torch.device(request.param)


@pytest.fixture
def accelerator(monkeypatch, device) -> Accelerator:
    found, own = Accelerator(device.type), torch.get_device_module
    kind = torch.device(device).type
    monkeypatch.setattr(
        torch, 'get_device_module', lambda name=None: found if torch.device(name).type == kind else own(name)
    )
    return found


def test_random_numbers_go_on_as_if_nothing_had_been_drawn(accelerator, device):
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    with pytest.raises(KeyError), kept_random_state([device, torch.device('cpu')]):
        accelerator.state = 9
        torch.rand(3)
        raise KeyError
    assert accelerator.state == 5 and torch.equal(torch.rand(2), expected)


def test_pictures_leave_the_random_numbers_of_the_models_device_alone(accelerator, device):
    model = SimpleNamespace(modules=list, parameters=lambda: [SimpleNamespace(device=device)])
    with undisturbed(model):
        accelerator.state = 9
    assert accelerator.state == 5


def test_a_timer_waits_for_the_device(accelerator, device):
    timer = PhaseTimer(device)
    timer.start()
    timer.end('a')
    training = TimedTraining.__new__(TimedTraining)
    training.device = device
    assert training._now() <= training._now()
    assert accelerator.waits == [None if device.type == 'mps' else device] * 4


def test_the_cpu_waits_for_nothing_and_has_a_name(accelerator, device):
    synchronize(torch.device('cpu'))
    assert not accelerator.waits
    assert device_name(device) == ('mps' if device.type == 'mps' else f'card {device.index}')
    assert device_name(torch.device('cpu'))


@pytest.mark.parametrize('name', ['mps', 'xpu', 'cuda:77'])
def test_a_device_that_is_not_there_is_named(name):
    kind = name.partition(':')[0]
    if kind == 'mps' and torch.backends.mps.is_available() or kind == 'xpu' and torch.xpu.is_available():
        pytest.skip('this machine has one')
    with pytest.raises(ValueError, match=f'device {name} does not exist: PyTorch finds no {kind.upper()} device'):
        checked_device(name)
    assert checked_device('cpu') == torch.device('cpu')


@pytest.mark.parametrize('without, place', [('cuda', 'cpu'), ('mps', 'cuda')])
def test_fp64_is_on_the_cpu_where_a_device_has_none(monkeypatch, without, place):
    monkeypatch.setattr(devices, '_WITHOUT_DOUBLE', (without,))
    with FakeTensorMode():
        found = to_double(torch.ones(2, device='cuda'))
    assert (found.device.type, found.dtype) == (place, torch.float64)
