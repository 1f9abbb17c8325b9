"""Arrays of one shape in every layout that memory can have, and how results are compared."""

import numpy as np

LAYOUTS = ["contiguous", "transposed", "sliced", "negative", "broadcast", "read-only"]
SHAPES = [(), (0,), (1,), (3,), (17,), (5, 7), (1, 33), (0, 4), (65, 3), (2, 3, 19), (300,)]


def laid_out(x, layout):
    """The values of `x` (for "broadcast", its first row) in the given layout."""
    if x.ndim == 0:
        return x.copy()
    if layout == "transposed":
        return np.ascontiguousarray(x.T).T
    if layout == "sliced":
        big = np.full([2 * n + 1 for n in x.shape], 77, x.dtype)
        view = big[tuple(slice(1, None, 2) for _ in x.shape)]
        view[...] = x
        return view
    if layout == "negative":
        flip = tuple(slice(None, None, -1) for _ in x.shape)
        return x[flip].copy()[flip]
    if layout == "broadcast":
        return np.broadcast_to(x[:1], x.shape) if x.shape[0] else x
    if layout == "read-only":
        x = x.copy()
        x.flags.writeable = False
    return x


def assert_close(actual, expected, ulps=4.0, scale=0.0):
    """Within `ulps` units of the last place of `expected` plus, for sums with cancellation, of `scale`."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    if actual.dtype.kind != "f":
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)
        return
    with np.errstate(all="ignore"):
        wanted = expected.astype(np.float64)
        unit = np.maximum(np.abs(wanted), np.abs(scale)) * np.finfo(actual.dtype).eps + np.finfo(actual.dtype).tiny
        same = (actual == expected.astype(actual.dtype)) | (np.isnan(actual) & np.isnan(wanted))
        wrong = ~same & ~(np.abs(actual - wanted) <= ulps * unit)
    assert not wrong.any(), f"{actual[wrong][:5]} instead of {wanted[wrong][:5]}"
