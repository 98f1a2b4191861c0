"""The best of many bilinear maps at every pixel, without upsampling the maps."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmvice.utils.jit import jit, share_out

from .axis import bilinear_axis
from .bilinear import floor_of_squares, gram_map, gram_map_of_image, linear_map, squared_lengths
from .unit_vectors import SMALLEST_SQUARE

_BAND = 12  # low-resolution rows that a thread has in hand: their scores stay in the cache
_CHANNELS = 64  # full-resolution maps of scores that a GPU holds at a time


def bilinear_argmax(features: Tensor, weight: Tensor, bias: Tensor | None, size: Sequence[int]) -> Tensor:
    """Index of the row of ``weight`` with the largest score ``w_c . u_j + b_c |u_j|`` at every pixel j.

    u_j is the bilinearly upsampled feature (``align_corners=False``). Divided by |u_j|, the score is that of the unit
    vector, ``w_c . u_j / |u_j| + b_c``. If |u_j| is below 1e-12, the pixel has no direction and the score is ``b_c``.
    The first of equal scores wins. No gradient flows back.

    On a CPU no map is upsampled. Pixels between the same four low-resolution neighbours form a cell. Within a cell, the
    difference of two scores without bias is bilinear, so its values at the four corners bound it. The bias adds bounds
    of |u_j|. A score that is behind the same rival at all corners wins nowhere in the cell. The few remaining scores,
    often one, are compared pixel by pixel. On other devices the scores are upsampled, some rows of ``weight`` at a
    time.

    Args:
        features: (B, D, h, w), fp32 or fp64, finite.
        weight: (C, D) of the same dtype.
        bias: (C,) of the same dtype, or None for zeros.
        size: Size (H, W) of the result.

    Returns:
        Tensor: int64 (B, H, W) in 0..C-1.

    Example:
        >>> features = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).reshape(1, 2, 1, 2)  # two vectors side by side
        >>> bilinear_argmax(features, torch.eye(2), None, (1, 4)).tolist()
        [[[0, 0, 1, 1]]]
    """
    features, weight = features.detach(), weight.detach()
    bias = None if bias is None else bias.detach()
    with torch.no_grad():
        by = _by_cells if features.device.type == 'cpu' else _by_parts
        return by(features, weight, bias, (int(size[0]), int(size[1])))


def _by_parts(features: Tensor, weight: Tensor, bias: Tensor | None, size: tuple[int, int]) -> Tensor:
    """Upsample the scores of some rows of ``weight`` at a time, and keep the best so far."""
    squared = squared_lengths(gram_map(features.permute(0, 2, 3, 1)), size).unsqueeze(1)
    no_direction = squared <= SMALLEST_SQUARE
    lengths = squared.sqrt().masked_fill_(no_direction, 1)
    best = winners = None
    for start in range(0, len(weight), _CHANNELS):
        part = slice(start, start + _CHANNELS)
        scores = linear_map(features, weight[part])
        scores = F.interpolate(scores, size, mode='bilinear', align_corners=False).masked_fill_(no_direction, 0)
        if bias is not None:
            scores = scores.addcmul(lengths, bias[part, None, None])
        top, index = scores.max(1)
        winners = index if best is None else torch.where(top > best, index + start, winners)
        best = top if best is None else torch.maximum(best, top)
    return winners


def _by_cells(features: Tensor, weight: Tensor, bias: Tensor | None, size: tuple[int, int]) -> Tensor:
    """Process bands of low-resolution rows in turn, with PyTorch's number of threads for their pixels."""
    batch, _, height, width = features.shape
    y_axis, x_axis = (
        [part.numpy() for part in bilinear_axis(n, m, 'cpu', features.dtype)] for n, m in zip((height, width), size)
    )
    out = torch.empty((batch, *size), dtype=torch.int64)
    biases = (features.new_zeros(len(weight)) if bias is None else bias.contiguous()).numpy()
    limits = tuple(biases.dtype.type(limit) for limit in (SMALLEST_SQUARE, floor_of_squares(features.dtype)))
    threads = torch.get_num_threads()
    step = _BAND * threads
    buffer = features.new_empty(min(step + 1, height), width, len(weight))
    for image, winners in zip(features.contiguous(), out.numpy()):
        gram = gram_map_of_image(image).numpy()
        for top in range(0, max(height - 1, 1), step):
            bottom = min(top + step, height - 1)
            if top:  # the last row of a band is the first of the next
                buffer[0] = buffer[step]
            new = slice(1 if top else 0, bottom - top + 1)
            _fill_scores(image[:, top:][:, new], weight, buffer[new])
            scores = buffer[: new.stop].numpy()
            first = np.searchsorted(y_axis[0], top)
            last = size[0] if bottom == height - 1 else np.searchsorted(y_axis[0], bottom)
            share_out(
                partial(_best_of_cells, scores, top, gram, biases, limits, *y_axis, *x_axis, winners),
                first,
                last,
                threads,
            )
    return out


def _fill_scores(features: Tensor, weight: Tensor, scores: Tensor) -> None:
    """Fill in the scores (rows, w, C) of features (D, rows, w)."""
    features, scores = features.flatten(1), scores.flatten(0, 1)
    if len(weight) < 64:  # BLAS is slow at narrow products with a transposed left side
        scores.copy_((weight @ features).T)
    else:
        torch.mm(features.T, weight.T, out=scores)


# In the loops below no number is written as a literal beside an fp32 one: numba would go over to fp64.


@jit
def _best_of_cells(scores, row, gram, bias, limits, y_lower, y_weight, x_lower, x_weight, out, first, last):
    """Fill rows ``first`` to ``last - 1`` of ``out`` (H, W).

    ``scores`` (rows, w, C) begin with low-resolution row ``row``; ``gram`` is the whole :func:`gram_map`. ``limits``
    are the largest squared length of a vector without direction, and :func:`floor_of_squares`.
    """
    rows, width, count = scores.shape
    words, candidates = np.zeros((count + 7) // 8, np.uint64), np.empty(count + 1, np.int64)
    most = _longest_run(y_lower) * _longest_run(x_lower)
    shares, best, winners = np.empty((5, most), bias.dtype), np.empty(most, bias.dtype), np.empty(most, np.int32)
    rival, above = 0, np.zeros(width, np.int32)  # winners beside a cell are good ones to measure others by
    y_end = first
    while y_end < last:
        y_start, y_end = y_end, _end_of_run(y_lower, y_end, last)
        top = y_lower[y_start]
        bottom = min(top + 1, row + rows - 1)
        x_end = 0
        while x_end < len(x_lower):
            x_start, x_end = x_end, _end_of_run(x_lower, x_end, len(x_lower))
            left = x_lower[x_start]
            right = min(left + 1, width - 1)
            upper, lower = scores[top - row], scores[bottom - row]
            corners = upper[left], upper[right], lower[left], lower[right]
            products = _products(gram, top, bottom, left, right)
            shortest, longest = _square_bounds(products)
            axes = y_weight[y_start:y_end], x_weight[x_start:x_end]
            if shortest <= limits[0] and _fill_shares(products, limits, *axes, shares):
                candidates[:count] = np.arange(count)  # pixels without direction, where alone the bias counts
                found = count
            else:
                shortest, longest = np.sqrt(shortest), np.sqrt(longest)
                if _mean_score(corners, bias, above[left], longest) > _mean_score(corners, bias, rival, longest):
                    rival = above[left]
                found = _candidates(corners, bias, rival, shortest, longest, words, candidates)
            if found <= 1:
                rival = candidates[0] if found else 0  # none only where scores are not finite
                above[left] = rival
                out[y_start:y_end, x_start:x_end] = rival
                continue
            pixels = (y_end - y_start) * (x_end - x_start)
            _fill_shares(products, limits, *axes, shares)
            _best_of_pixels(corners, bias, candidates[:found], shares, pixels, best, winners)
            rival = winners[((y_end - y_start) // 2 + 1) * (x_end - x_start) - 1]
            above[left] = winners[pixels - 1 - (x_end - x_start) // 2]
            for y in range(y_start, y_end):
                for x in range(x_start, x_end):
                    out[y, x] = winners[(y - y_start) * (x_end - x_start) + x - x_start]


@jit
def _end_of_run(values, start, end):
    """End index of the equal values from ``start`` on, at most ``end``."""
    i = start + 1
    while i < end and values[i] == values[start]:
        i += 1
    return i


@jit
def _longest_run(values):
    """Length of the longest run of equal values."""
    longest = end = 0
    while end < len(values):
        start, end = end, _end_of_run(values, end, len(values))
        longest = max(longest, end - start)
    return longest


@jit
def _products(gram, top, bottom, left, right):
    """Inner products of a cell's corners a b above c d: aa, bb, cc, dd, ab, cd, ac, bd, and the mean of ad and bc."""
    y, x = top + bottom, left + right
    squares = gram[2 * top, 2 * left], gram[2 * top, 2 * right], gram[2 * bottom, 2 * left], gram[2 * bottom, 2 * right]
    return (*squares, gram[2 * top, x], gram[2 * bottom, x], gram[y, 2 * left], gram[y, 2 * right], gram[y, x])


@jit
def _square_bounds(products):
    """Bounds of the squared length of an upsampled vector in the cell, which is a mean of the products."""
    aa, bb, cc, dd, ab, cd, ac, bd, ad = products
    shortest = max(min(aa, bb, cc, dd, ab, cd, ac, bd, ad), aa - aa)
    return shortest, max(aa, bb, cc, dd)


@jit
def _candidates(corners, bias, rival, shortest, longest, words, candidates):
    """Collect the rows that are not behind the rival in the whole cell; return their number.

    LLVM vectorises the loop over all rows, since it stores comparisons and keeps no running maximum.
    """
    a, b, c, d = corners
    rival_a, rival_b, rival_c, rival_d, rival_bias = a[rival], b[rival], c[rival], d[rival], bias[rival]
    zero = bias.dtype.type(0)
    flags = words.view(np.uint8)  # eight to a word, most of which are passed over at once
    for i in range(len(bias)):
        lead, other = a[i] - rival_a, b[i] - rival_b
        lead = lead if lead > other else other
        other = c[i] - rival_c
        lead = lead if lead > other else other
        other = d[i] - rival_d
        lead = lead if lead > other else other
        low, high = (bias[i] - rival_bias) * shortest, (bias[i] - rival_bias) * longest
        flags[i] = lead + (low if low > high else high) >= zero  # the greatest lead anywhere in the cell, or more
    found = 0
    for word in range(len(words)):
        if words[word]:
            for i in range(8 * word, 8 * word + 8):
                candidates[found] = i  # one after another, to be kept or overwritten: faster than a branch
                found += flags[i]
    return found


@jit
def _mean_score(corners, bias, row, length):
    """About four times the score of a row in the middle of a cell."""
    a, b, c, d = corners
    of_length = bias[row] * length
    return a[row] + b[row] + c[row] + d[row] + of_length + of_length + of_length + of_length


@jit
def _fill_shares(products, limits, y_weights, x_weights, shares):
    """Weights of the corners a b above c d for the pixels of a cell, and the length of their vectors: (5, pixels).

    A vector without direction gets zero weights and length 1; the number of these vectors is returned. LLVM vectorises
    the second loop.
    """
    pixels = 0
    for y_weight in y_weights:
        for x_weight in x_weights:
            shares[0, pixels], shares[1, pixels] = y_weight, x_weight
            pixels += 1
    aa, bb, cc, dd, ab, cd, ac, bd, ad = products
    smallest, floor = limits
    one = shares.dtype.type(1)
    zero = one - one
    without = 0
    for p in range(pixels):
        d = shares[0, p] * shares[1, p]
        b, c = shares[1, p] - d, shares[0, p] - d
        a = one - shares[0, p] - b
        mixed = a * (b * ab + c * ac) + d * (c * cd + b * bd) + (a * d + b * c) * ad
        own = a * a * aa + b * b * bb + c * c * cc + d * d * dd
        square, least = own + mixed + mixed, own * floor
        square = square if square > least else least
        lacks = square <= smallest
        without += lacks
        shares[0, p] = zero if lacks else a
        shares[1, p] = zero if lacks else b
        shares[2, p] = zero if lacks else c
        shares[3, p] = zero if lacks else d
        shares[4, p] = one if lacks else np.sqrt(square)
    return without


@jit
def _best_of_pixels(corners, bias, candidates, shares, pixels, best, winners):
    """Write the best candidate at every pixel of a cell to ``winners``; ``best`` is scratch. LLVM vectorises it."""
    a, b, c, d = corners
    best[:pixels] = -np.inf
    winners[:pixels] = candidates[0]  # stays only where scores are not finite
    for i in candidates:
        of_a, of_b, of_c, of_d, of_length = a[i], b[i], c[i], d[i], bias[i]
        index = np.int32(i)
        for p in range(pixels):
            score = shares[0, p] * of_a + shares[1, p] * of_b + shares[2, p] * of_c + shares[3, p] * of_d
            score += shares[4, p] * of_length
            better = score > best[p]
            best[p] = score if better else best[p]
            winners[p] = index if better else winners[p]
