"""Random numbers, optimisers, threads, memory, forks, and arguments that make no sense."""

import os
import subprocess
import sys
import threading
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from tinygrad_edu.kernels import reference

from .conftest import native
from .layouts import LAYOUTS, assert_close, laid_out


@pytest.mark.parametrize("n", [0, 1, 3, 4, 17, 4096, 100_001])
def test_random_numbers(n, isa):
    for seed, stream, offset in [(0, 0, 0), (2**64 - 1, 2**32 - 1, 2**33), (123456789012345, 3, 2**32 - 5)]:
        np.testing.assert_array_equal(native.philox(n, seed, stream, offset), reference.philox(n, seed, stream, offset))
        for dtype in (np.float32, np.float64):
            rest = (dtype, seed, stream, offset)
            np.testing.assert_array_equal(
                native.uniform((n,), -0.3, 0.7, *rest), reference.uniform((n,), -0.3, 0.7, *rest)
            )
            assert_close(
                native.normal((n,), 0.5, 2.0, *rest), reference.normal((n,), 0.5, 2.0, np.float64, *rest[1:]), 16, 2
            )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_dropout(layout, isa, rng):
    for dtype in (np.float32, np.float64):
        for shape in [(), (0,), (17,), (65, 3), (2, 3, 19), (100, 100)]:
            x = laid_out(np.asarray(rng.normal(size=shape), dtype), layout)
            for p in (0.0, 0.3, 1.0):
                np.testing.assert_array_equal(native.dropout(x, p, 1, 2, 3), reference.dropout(x, p, 1, 2, 3))
                same = x.copy()
                np.testing.assert_array_equal(
                    native.dropout(same, p, 1, 2, 3, out=same), reference.dropout(x, p, 1, 2, 3)
                )


def states(rng, dtype, count):
    shapes = [(3,), (65, 3), (), (0, 2), (40_000,)]
    return [[np.asarray(abs(rng.normal(size=s)), dtype) for s in shapes] for _ in range(count)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "first": True},
        {"momentum": 0.9, "nesterov": True, "maximize": True},
        {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1},
    ],
)
def test_sgd(dtype, options, isa, rng):
    settings = {
        "lr": 0.1,
        "momentum": 0.0,
        "dampening": 0.0,
        "weight_decay": 0.0,
        "nesterov": False,
        "maximize": False,
        "first": False,
        **options,
    }
    p, g, m = states(rng, dtype, 3)
    p2, g2, m2 = ([x.astype(np.float64) for x in xs] for xs in (p, g, m))
    g[1] = laid_out(g[1], "transposed")
    native.sgd(p, g, m if settings["momentum"] else None, **settings)
    reference.sgd(p2, g2, m2 if settings["momentum"] else None, **settings)
    for mine, wanted in zip([*p, *m], [*p2, *m2], strict=True):
        assert_close(mine, wanted, 4, 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "options", [{}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled": True}, {"maximize": True, "step": 100}]
)
@pytest.mark.parametrize("amsgrad", [False, True])
def test_adam(dtype, options, amsgrad, isa, rng):
    settings = {
        "lr": 0.1,
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
        "weight_decay": 0.0,
        "step": 3,
        "decoupled": False,
        "maximize": False,
        **options,
    }
    lists = states(rng, dtype, 5)
    doubles = [[x.astype(np.float64) for x in xs] for xs in lists]
    native.adam(*lists[:4], lists[4] if amsgrad else None, **settings)
    reference.adam(*doubles[:4], doubles[4] if amsgrad else None, **settings)
    for mine, wanted in zip(chain(*lists), chain(*doubles), strict=True):
        assert_close(mine, wanted, 10, 4)


def test_optimisers_change_nothing_when_they_refuse():
    p, g = [np.ones(3, np.float32), np.ones(4, np.float32)], [np.ones(3, np.float32), np.ones(5, np.float32)]
    settings = {
        "lr": 0.1,
        "momentum": 0,
        "dampening": 0,
        "weight_decay": 0,
        "nesterov": False,
        "maximize": False,
        "first": True,
    }
    with pytest.raises(ValueError, match="parameter 1"):
        native.sgd(p, g, None, **settings)
    with pytest.raises(ValueError, match="entries"):
        native.sgd(p, g[:1], None, **settings)
    for params, grads in ((p, None), (None, p)):
        with pytest.raises(TypeError, match="list of arrays, not NoneType"):
            native.sgd(params, grads, None, **settings)
    rest = {"lr": 1, "beta1": 0, "beta2": 0, "eps": 1, "weight_decay": 0, "step": 1, "decoupled": False}
    for missing in range(4):
        lists = [p, *[[x.copy() for x in p] for _ in range(3)]]
        lists[missing] = None
        with pytest.raises(TypeError, match="list of arrays, not NoneType"):
            native.adam(*lists, None, **rest, maximize=False)
    assert all((x == 1).all() for x in p)


def test_norm_of_a_list_and_its_limit(isa, rng):
    shapes = [(3, 5), (), (0, 4), (70_001,), (17, 33)]
    for dtype in (np.float32, np.float64):
        x = [np.asarray(rng.normal(size=shape)).astype(dtype) for shape in shapes]
        wide = [a.astype(np.float64) for a in x]
        wanted = reference.total_norm(wide)
        assert type(wanted) is np.ndarray  # no scalar: a graph may go on from it
        given = [np.asfortranarray(x[0])[:, ::-1], *x[1:4], x[4].astype(np.float64)]  # layouts and dtypes as they come
        norm = native.total_norm(given)
        assert norm.dtype == dtype
        assert norm.shape == ()
        assert_close(norm, wanted, 2)
        for most in (1e9, 1.0, 0.0):
            mine, theirs = [a.copy() for a in x], [a.copy() for a in wide]
            native.limit_norm(mine, norm, most)
            reference.limit_norm(theirs, norm, most)
            for a, b in zip(mine, theirs, strict=True):
                assert_close(a, b, 2)
    assert native.total_norm([np.full(3, 1e30, np.float32)]) == np.float32(np.sqrt(3) * 1e30)  # squared in float64
    for value in (np.nan, np.inf):
        assert_close(native.total_norm([np.array([1, value], np.float32)]), np.float32(value))
    x = [np.ones(3, np.float32)]
    native.limit_norm(x, np.asarray(np.nan, np.float32), 1.0)
    assert np.isnan(x[0]).all()
    fixed = np.ones(3, np.float32)
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        native.limit_norm([fixed], np.asarray(2, np.float32), 1.0)
    with pytest.raises(TypeError, match="list of arrays"):
        native.total_norm(fixed)


def test_a_list_may_change_while_it_is_worked_on():
    x = [np.ones(1 << 18) for _ in range(40)]
    started, results = threading.Event(), []

    def work():
        started.set()
        for _ in range(20):
            results.append(float(native.total_norm(x)))

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    while thread.is_alive():  # the only references to these arrays
        x[:] = [np.ones(1 << 18) for _ in range(40)]
    thread.join()
    assert set(results) == {np.sqrt(40.0 * (1 << 18))}


def workload(seed=0):
    """Results of kernels large enough to be shared between threads."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 500, 601)).astype(np.float32)
    target = rng.integers(0, 601, 500)
    images, weights = (
        rng.normal(size=(6, 24, 15, 14)).astype(np.float32),
        rng.normal(size=(24, 24, 3, 3)).astype(np.float32),
    )
    one = ((1, 1), (1, 1), (1, 1), 1)
    results = [
        native.add(x, y),
        native.gelu(x, False),
        native.matmul(x, y.T),
        native.matmul(x.T, y),
        native.matmul(x[:120], y.T),
        native.matmul(x[:120, :500], y),
        native.sum(x, (0,), False),
        native.sum(x, (1,), False),
        native.sum(x, (0, 1), False),
        native.softmax(x, 1),
        native.softmax(x, 0),
        native.amax(x, (0, 1), False),
        native.mse(x, y, "mean"),
        native.uniform((300_000,), 0, 1, np.float32, 1, 2, 3),
        native.dropout(x, 0.5, 1, 2, 3),
        native.cross_entropy(x, target, None, -100, 0.1, "mean")[0],
        native.linear(x, y, y[:, 0]),
        native.cumsum(x, 0),
        native.cumsum(x, 1),
        native.total_norm([x, y[0]]),
        native.convolve(images, weights, None, *one),
        native.convolve_input_gradient(images, weights, (15, 14), *one),
        native.convolve_weight_gradient(images, images, (3, 3), *one),
        *native.batch_norm(x[:, :, None], y[0], y[1], 1e-5),
        *native.batch_norm_backward(y[:, :, None], x[:, :, None], y[0], y[1], y[2]),
    ]
    p, g, m, v = x.copy(), y.copy(), np.zeros_like(x), np.zeros_like(x)
    native.adam(
        [p],
        [g],
        [m],
        [v],
        None,
        lr=0.1,
        beta1=0.9,
        beta2=0.99,
        eps=1e-8,
        weight_decay=0,
        step=1,
        decoupled=False,
        maximize=False,
    )
    return b"".join(np.ascontiguousarray(r).tobytes() for r in [*results, p])


def test_same_bits_for_every_number_of_threads(isa, threads):
    results = []
    for n in (1, 2, 3, 8):
        threads(n)
        results.append(workload())
    assert len(set(results)) == 1


def test_calls_from_several_python_threads(threads):
    threads(2)
    wanted, results = workload(), []
    workers = [threading.Thread(target=lambda: results.extend(workload() for _ in range(3))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == [wanted] * 12


FORK = """
import os, numpy as np, tinygrad_edu.kernels.native as native
native.set_num_threads(2)
x = np.ones((600, 600), np.float32)
wanted = native.matmul(x, x).sum()
child = os.fork()
if child == 0:
    os._exit(0 if native.matmul(x, x).sum() == wanted else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_fork_after_work():
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], timeout=60, check=False).returncode == 0


def test_unknown_isa_names_the_choices():
    with pytest.raises(ValueError, match=r"choices: baseline"):
        native._native.use_isa("z80")
    result = subprocess.run(
        [sys.executable, "-c", "import tinygrad_edu.kernels"],
        env={**os.environ, "TGE_ISA": "z80"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "InputError: TGE_ISA" in result.stderr


def test_memory_is_reused_and_counted():
    native.empty_cache()
    before = native.memory_stats()
    x = native.empty((1000, 1000), np.float32)
    during = native.memory_stats()
    assert x.ctypes.data % 64 == 0
    assert during["live_bytes"] - before["live_bytes"] >= x.nbytes
    assert during["peak_bytes"] >= during["live_bytes"]
    view = x[10:]
    del x
    assert native.memory_stats()["live_bytes"] == during["live_bytes"]  # a view keeps it
    del view
    after = native.memory_stats()
    assert after["live_bytes"] == before["live_bytes"]
    assert after["cached_bytes"] >= 4_000_000
    y = native.empty((1000, 1000), np.float32)
    assert native.memory_stats()["cache_hits"] == after["cache_hits"] + 1
    del y
    native.empty_cache()
    assert native.memory_stats()["cached_bytes"] == 0


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists() or "san.so" in os.environ.get("LD_PRELOAD", ""),
    reason="asks Linux for the size of the process, without what a sanitizer keeps",
)
def test_blocks_that_share_their_pages_go_back_to_the_system():
    """Blocks of 64 KB to 2 MB: what lies between others that are in use gives its pages back, and is used again."""
    native.empty_cache()
    before = resident()
    arrays = [native.full((250_000,), float(i), np.float32) for i in range(64)]  # 64 MB
    assert resident() - before > 50_000_000
    kept = arrays[::16]
    del arrays
    assert native.memory_stats()["cached_bytes"] >= 50_000_000
    native.empty_cache()
    assert native.memory_stats()["cached_bytes"] == 0
    assert resident() - before < 30_000_000
    again = [native.full((250_000,), -1.0, np.float32) for _ in range(64)]
    for i, array in enumerate(kept):
        assert (array == 16 * i).all()
    assert all((array == -1).all() for array in again)
    del again, kept, array
    native.empty_cache()
    assert resident() - before < 8_000_000


@pytest.mark.parametrize("shape", [(2**62, 4), (2**40,), (2**31, 2**31, 2**31)])
def test_too_much_memory(shape):
    with pytest.raises(MemoryError):
        native.empty(shape, np.float32)


def test_arguments_that_make_no_sense():
    x = np.zeros((2, 3), np.float32)
    for call, error in [
        (lambda: native.add(x), TypeError),
        (lambda: native.add(x, x, x), TypeError),
        (lambda: native.add([1.0], x), TypeError),
        (lambda: native.add(x, x, oops=1), TypeError),
        (lambda: native.add(x, x, a=x), TypeError),
        (lambda: native.add(x, x, out=x[:1]), ValueError),
        (lambda: native.add(x, x, out=x.astype(float)), ValueError),
        (lambda: native.sum(x, (0, 0), False), ValueError),
        (lambda: native.sum(x, (2,), False), ValueError),
        (lambda: native.sum(x, "ab", False), TypeError),
        (lambda: native.empty((-1,), np.float32), ValueError),
        (lambda: native.set_num_threads(0), ValueError),
    ]:
        with pytest.raises(error):
            call()
    frozen = x.copy()
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        native.add(x, x, out=frozen)
    odd = np.frombuffer(b"\0" * 13, np.uint8)[1:].view(np.float32)  # not aligned
    assert native.add(odd, odd).tolist() == [0, 0, 0]
    assert native.add(np.float32(1), np.ones(2, np.float32)).tolist() == [2, 2]
    assert native.add(x.astype(">f4"), x.astype(">f4")).shape == (2, 3)
