"""Sizes of convolutions and pools along one dimension: n entries, window k, stride s, padding p, dilation d."""

from __future__ import annotations


def convolved(n: int, k: int, s: int, p: int, d: int) -> int:
    """How many windows fit into n entries and their padding on both sides; 0 or less if none does."""
    return (n + 2 * p - d * (k - 1) - 1) // s + 1


def pooled(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> int:
    """The same for pools: with `ceil_mode` a last window may stick out, if it starts within x or the padding before."""
    if not ceil_mode:
        return convolved(n, k, s, p, d)
    count = -(-(n + 2 * p - d * (k - 1) - 1) // s) + 1
    return count - 1 if (count - 1) * s >= n + p else count


def transposed(n: int, k: int, s: int, p: int, d: int, output_padding: int) -> int:
    """The size that a transposed convolution gives; with output_padding < s it is one that `convolved` takes to n."""
    return (n - 1) * s - 2 * p + d * (k - 1) + output_padding + 1
