"""Samplers, collating, and data sets made of data sets: PyTorch's shapes of results, and what is refused."""

from __future__ import annotations

from collections import Counter, OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.utils import data

Point = namedtuple("Point", ["x", "label"])
SAMPLES: dict[str, list[Any]] = {
    "floats": [1.0, 2.5],
    "ints": [1, 2],
    "bools": [True, False],
    "strings": ["a", "b"],
    "arrays": [np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)],
    "scalars": [np.float32(1), np.float32(2)],
    "dicts": [{"x": 1.0, "name": "a"}, {"x": 2.0, "name": "b"}],
    "ordered": [OrderedDict(a=1), OrderedDict(a=2)],
    "tuples": [(1, np.ones(2)), (2, np.ones(2))],
    "named": [Point(1.0, 3), Point(2.0, 4)],
    "lists": [[1, [2.0, "z"]], [3, [4.0, "y"]]],
}


def plain(value: Any) -> Any:
    """Tensors of either library as (dtype, values); containers with their kinds."""
    if hasattr(value, "numpy"):
        array = value.numpy()
        return (str(array.dtype), array.tolist())
    if isinstance(value, dict):
        return (type(value).__name__, {k: plain(v) for k, v in value.items()})
    if isinstance(value, list | tuple):
        return (type(value).__name__, [plain(v) for v in value])
    return value


@pytest.mark.parametrize("name", list(SAMPLES))
def test_default_collate_makes_what_pytorchs_makes(name: str) -> None:
    torch = pytest.importorskip("torch")
    assert plain(data.default_collate(SAMPLES[name])) == plain(torch.utils.data.default_collate(SAMPLES[name]))


def test_tensors_collate_and_convert() -> None:
    assert data.default_collate([tg.ones(2), tg.zeros(2)]).tolist() == [[1, 1], [0, 0]]
    kept = np.ones(2, np.float32)
    converted = data.default_convert({"x": kept, "n": "text", "t": (1, kept)})
    assert converted["x"].data_ptr() == kept.ctypes.data
    assert converted["n"] == "text"
    assert converted["t"][0] == 1
    with pytest.raises(RuntimeError, match="do not stack"):
        data.default_collate([tg.ones(2), tg.ones(3)])
    with pytest.raises(RuntimeError, match="different numbers of parts"):
        data.default_collate([[1, 2], [3]])
    with pytest.raises(TypeError, match="NoneType"):
        data.default_collate([None, None])


def test_samplers_keep_their_promises() -> None:
    rows = range(7)
    assert list(data.SequentialSampler(rows)) == list(rows)
    one, two = (data.RandomSampler(rows, generator=tg.Generator(5)) for _ in range(2))
    first = list(one)
    assert sorted(first) == list(rows)
    assert first == list(two)
    assert list(one) != first
    drawn = list(data.RandomSampler(rows, replacement=True, num_samples=100, generator=tg.Generator(0)))
    assert len(drawn) == 100
    assert set(drawn) == set(rows)
    longer = list(data.RandomSampler(rows, num_samples=10, generator=tg.Generator(0)))
    assert len(longer) == 10
    assert sorted(longer[:7]) == list(rows)
    assert sorted(data.SubsetRandomSampler([3, 5, 9])) == [3, 5, 9]
    assert list(data.BatchSampler(data.SequentialSampler(rows), 3, False)) == [[0, 1, 2], [3, 4, 5], [6]]
    batches = data.BatchSampler(data.SequentialSampler(rows), 3, True)
    assert list(batches) == [[0, 1, 2], [3, 4, 5]]
    assert len(batches) == 2


def test_weighted_sampling_follows_the_weights() -> None:
    weights = [0.0, 1.0, 3.0, 6.0]
    drawn = Counter(data.WeightedRandomSampler(weights, 40_000, generator=tg.Generator(1)))
    assert drawn[0] == 0
    for row in (1, 2, 3):
        expected = 4000 * weights[row]
        assert abs(drawn[row] - expected) < 5 * np.sqrt(expected)
    firsts = Counter()
    for seed in range(2000):
        chosen = list(data.WeightedRandomSampler(weights, 3, False, generator=tg.Generator(seed)))
        assert sorted(chosen) == [1, 2, 3]
        firsts[chosen[0]] += 1
    for row in (1, 2, 3):
        assert abs(firsts[row] - 200 * weights[row]) < 5 * np.sqrt(200 * weights[row])
    with pytest.raises(ValueError, match="3 rows have a weight"):
        data.WeightedRandomSampler(weights, 4, replacement=False)
    with pytest.raises(ValueError, match="finite"):
        data.WeightedRandomSampler([1.0, float("nan")], 1)
    with pytest.raises(ValueError, match="num_samples"):
        data.WeightedRandomSampler(weights, 0)


@pytest.mark.parametrize("drop_last", [False, True])
def test_distributed_shares_cover_the_rows(drop_last: bool) -> None:
    samplers = [data.DistributedSampler(range(10), 3, rank, drop_last=drop_last) for rank in range(3)]
    shares = [list(s) for s in samplers]
    assert {len(s) for s in shares} == {3 if drop_last else 4}
    assert len(set().union(*map(set, shares))) == (9 if drop_last else 10)
    samplers[0].set_epoch(1)
    assert list(samplers[0]) != shares[0]
    with pytest.raises(ValueError, match="rank is 3"):
        data.DistributedSampler(range(3), 3, 3)


def test_data_sets_made_of_data_sets() -> None:
    class Count(data.IterableDataset):
        def __init__(self, n: int) -> None:
            self.n = n

        def __iter__(self) -> Any:
            return iter(range(self.n))

    a, b = data.TensorDataset(tg.arange(3)), data.TensorDataset(tg.arange(10, 12))
    both = a + b
    assert isinstance(both, data.ConcatDataset)
    assert both.cumulative_sizes == [3, 5]
    assert [both[i][0].item() for i in range(5)] == [0, 1, 2, 10, 11]
    assert both[-1][0].item() == 11
    with pytest.raises(ValueError, match="outside"):
        both[5]
    assert [x.item() for (x,) in data.DataLoader(both, batch_size=None)] == [0, 1, 2, 10, 11]
    assert list(Count(2) + Count(3)) == [0, 1, 0, 1, 2]
    with pytest.raises(ValueError, match="ChainDataset"):
        data.ConcatDataset([Count(2)])
    with pytest.raises(TypeError, match="no length"):
        len(data.DataLoader(Count(3)))
    assert [b.tolist() for b in data.DataLoader(Count(5), 2)] == [[0, 1], [2, 3], [4]]
    assert [b.tolist() for b in data.DataLoader(Count(5), 2, drop_last=True)] == [[0, 1], [2, 3]]
    assert list(data.DataLoader(Count(3), batch_size=None)) == [0, 1, 2]
    with pytest.raises(ValueError, match="own order"):
        data.DataLoader(Count(3), shuffle=True)


def test_batches_of_ones_own_and_single_samples() -> None:
    rows = data.TensorDataset(tg.arange(6))
    loader = data.DataLoader(rows, batch_sampler=[[0, 5], [1]])
    assert [x.tolist() for (x,) in loader] == [[0, 5], [1]]
    assert len(loader) == 2
    assert [x.item() for (x,) in data.DataLoader(rows, batch_size=None, sampler=[3, 1])] == [3, 1]
    assert isinstance(data.DataLoader(rows, shuffle=True).sampler, data.RandomSampler)
    assert isinstance(next(iter(data.DataLoader(rows))), list)  # as PyTorch's
    with pytest.raises(ValueError, match="batch_sampler replaces"):
        data.DataLoader(rows, 2, batch_sampler=[[0]])
