"""Maps of one stride become finer, by what their vectors tell of the inside of a cell."""

import pytest
import torch
import torch.nn.functional as F

from mmvice.models import SubpixelDecoder


@pytest.mark.parametrize('scale', [1, 2, 4])
def test_the_output_is_finer_by_the_scale(scale):
    decoder = SubpixelDecoder([6, 10], embed_dims=8, scale=scale)
    assert decoder([torch.randn(2, 6, 3, 5), torch.randn(2, 10, 3, 5)]).shape == (2, 8, 3 * scale, 5 * scale)


def test_without_what_it_has_learned_it_is_the_bilinear_map_of_the_sum():
    decoder = SubpixelDecoder([6, 10], embed_dims=8, scale=2)
    torch.nn.init.zeros_(decoder.doublings[0][-1].weight), torch.nn.init.zeros_(decoder.doublings[0][-1].bias)
    maps = [torch.randn(1, 6, 3, 5), torch.randn(1, 10, 3, 5)]
    fused = sum(lateral(one) for lateral, one in zip(decoder.laterals, maps))
    torch.testing.assert_close(decoder(maps), F.interpolate(fused, scale_factor=2, mode='bilinear'))


def test_it_learns_an_edge_inside_a_cell():
    """Which half of a cell is bright is told by its vector alone; no interpolation of neighbours knows."""
    torch.manual_seed(0)
    halves = torch.randint(2, (8, 1, 4, 4)).float()
    cells = torch.cat([halves, 1 - halves], 1)
    target = torch.stack([halves, 1 - halves], -1).reshape(8, 1, 4, 8)  # left and right half of every cell
    decoder = SubpixelDecoder([2], embed_dims=8, scale=2)
    read = torch.nn.Conv2d(8, 1, 1)
    optimizer = torch.optim.Adam([*decoder.parameters(), *read.parameters()], lr=0.02)
    for _ in range(150):
        loss = F.mse_loss(read(decoder([cells]))[:, :, ::2], target)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    assert loss < 0.02


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match='scale must be 1, 2 or 4, got 3'):
        SubpixelDecoder([6], scale=3)
    with pytest.raises(ValueError, match='use LightFPN for maps of several strides'):
        SubpixelDecoder([6, 6])([torch.randn(1, 6, 4, 4), torch.randn(1, 6, 2, 2)])
