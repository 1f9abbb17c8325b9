import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.data import DataLoader, Dataset, Subset, TensorDataset, check_finite, check_labels


def rows(n=10):
    return TensorDataset(np.arange(n * 2, dtype=np.float32).reshape(n, 2), np.arange(n))


def labels(loader):
    return [y.numpy().tolist() for _, y in loader]


def test_tensor_dataset_gives_rows_and_shares_memory():
    x = np.zeros((3, 2), np.float32)
    dataset = TensorDataset(x, tg.tensor([1, 2, 3]))
    assert len(dataset) == 3
    x[1] = 7
    first, second = dataset[1]
    assert first.numpy().tolist() == [7, 7]
    assert second.item() == 2
    assert [t.shape for t in dataset[1:]] == [(2, 2), (2,)]


def test_tensor_dataset_refuses_different_lengths_and_no_numbers():
    with pytest.raises(ValueError, match=r"3, 4 rows .*transposed"):
        TensorDataset(np.zeros((3, 2)), np.zeros(4))
    with pytest.raises(ValueError, match="no tensors"):
        TensorDataset()
    with pytest.raises(ValueError, match="first dimension"):
        TensorDataset(np.float32(3))
    with pytest.raises(TypeError, match="dtype"):
        TensorDataset(np.array(["a"]))


def test_subset_of_subset():
    inner = Subset(Subset(rows(), [1, 3, 5, 7]), [3, 0])
    assert [int(y.item()) for _, y in (inner[0], inner[1])] == [7, 1]
    assert inner[:][1].numpy().tolist() == [7, 1]
    with pytest.raises(IndexError, match="outside a data set of 10 rows"):
        Subset(rows(), [10])


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 5, 10, 11])
def test_every_row_once_an_epoch(batch_size, drop_last):
    loader = DataLoader(rows(), batch_size, shuffle=True, drop_last=drop_last, generator=tg.Generator(1))
    for _ in range(3):
        batches = labels(loader)
        assert len(batches) == len(loader)
        seen = [y for batch in batches for y in batch]
        assert len(set(seen)) == len(seen)
        assert len(seen) == (10 - 10 % batch_size if drop_last else 10)


def test_order_is_the_generators():
    def make():
        return DataLoader(rows(), 4, shuffle=True, generator=tg.Generator(3))

    one, two = make(), make()
    epochs = [labels(one) for _ in range(3)]
    assert epochs == [labels(two) for _ in range(3)]
    assert epochs[0] != epochs[1]
    assert labels(DataLoader(rows(), 4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize("stop", range(8))
def test_resume_continues_with_the_next_batch(stop):
    def make():
        return DataLoader(rows(), 3, shuffle=True, generator=tg.Generator(3))

    def stream(loader):
        while True:
            yield from labels_of(loader)

    def labels_of(loader):
        for _, y in loader:
            yield y.numpy().tolist()

    full = stream(make())
    expected = [next(full) for _ in range(12)]
    first = make()
    source = stream(first)
    got = [next(source) for _ in range(stop)]
    second = make()
    second.load_state_dict(first.state_dict())
    assert second.state_dict() == first.state_dict()
    source = stream(second)
    assert got + [next(source) for _ in range(12 - stop)] == expected


def test_samplers_and_plain_datasets():
    class Squares(Dataset):
        def __len__(self):
            return 5

        def __getitem__(self, i):
            return {"x": float(i), "pair": (i, np.full(2, i))}

    (batch,) = DataLoader(Squares(), 3, sampler=[4, 0, 2])
    assert batch["x"].dtype == np.float64  # as in PyTorch
    assert batch["x"].numpy().tolist() == [4, 0, 2]
    assert batch["pair"][0].numpy().tolist() == [4, 0, 2]
    assert batch["pair"][1].shape == (3, 2)
    assert next(iter(DataLoader(rows(), 2, collate_fn=len))) == 2
    ragged = [np.zeros(2), np.zeros(3)]
    with pytest.raises(ValueError, match="do not stack; pass collate_fn"):
        next(iter(DataLoader(ragged, 2)))


def test_loader_refuses_wrong_use():
    with pytest.raises(ValueError, match="empty"):
        DataLoader(TensorDataset(np.zeros((0, 2))), 3)
    with pytest.raises(ValueError, match="at least 1"):
        DataLoader(rows(), 0)
    with pytest.raises(TypeError, match="whole number"):
        DataLoader(rows(), 2.5)
    with pytest.raises(ValueError, match="sampler"):
        DataLoader(rows(), 2, shuffle=True, sampler=[1])
    loader = DataLoader(rows(), 5)
    with pytest.raises(ValueError, match="after batch 9"):
        loader.load_state_dict({"generator": tg.Generator(0).get_state(), "batches": 9})


def test_bad_data_is_named():
    x = np.ones((4, 3))
    x[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"X has nan at \[2, 1\], and 1 of 4 rows"):
        check_finite(x)
    with pytest.raises(ValueError, match="empty"):
        check_finite(np.zeros((0, 3)))
    with pytest.raises(TypeError, match="integers, not float64"):
        check_labels(np.array([0.0, 1.5]))
    with pytest.raises(ValueError, match=r"label 10 in row 1; labels must be 0 … 9"):
        check_labels(np.array([0, 10]), 10)
    with pytest.raises(ValueError, match="label -1 in row 0"):
        check_labels(np.array([-1, 1]))
    with pytest.raises(ValueError, match="one number per row"):
        check_labels(np.eye(3, dtype=int))
    assert check_labels(np.array([0, 3])) == 4
