"""The embedded names, and the examples that are made of them."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_edu.data import embedded, load_names, next_characters, spell
from tinygrad_edu.data.names import ALPHABET


def test_names_are_the_lists_that_the_card_describes() -> None:
    names = load_names()
    assert [len(each) for each in (names.female, names.male, names.surnames, names.first)] == [
        4275, 1219, 20_000, 5163]  # fmt: skip
    assert (names.female[0], names.male[0], names.surnames[0]) == ("mary", "james", "smith")
    for each in (names.female, names.male, names.surnames):
        assert len(set(each)) == len(each)
        assert set("".join(each)) == set(ALPHABET[1:])
    assert list(names.first) == sorted(set(names.female) | set(names.male))
    assert "5,163 different first names" in names.card
    assert f"{len(set(names.female) & set(names.male))} first names are in both" in names.card


def test_a_changed_file_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(embedded.SHA256, "names", "0" * 64)
    with pytest.raises(ValueError, match=r"names\.csv\.gz is not the one that was shipped"):
        load_names()


def test_every_place_of_a_name_is_an_example() -> None:
    X, y = next_characters(["abe", "z"], context=2)
    assert X.tolist() == [[0, 0], [0, 1], [1, 2], [2, 5], [0, 0], [0, 26]]
    assert y.tolist() == [1, 2, 5, 0, 26, 0]
    X, y = next_characters([], context=3)
    assert X.shape == (0, 3)
    assert X.dtype == y.dtype == np.int64
    with pytest.raises(ValueError, match=r"'Ann' has \['A'\]"):
        next_characters(["Ann"])
    with pytest.raises(ValueError, match="at least 1, not 0"):
        next_characters(["ann"], context=0)


def test_numbers_are_spelt() -> None:
    X, _ = next_characters(["abe"], context=4)
    assert spell(X[-1:, 1:]) == ["abe"]
    assert spell(np.array([[1, 0, 2], [0, 1, 2], [26, 1, 1]])) == ["a", "", "zaa"]
    assert spell(np.zeros((0, 3))) == []
    with pytest.raises(IndexError, match="from 0 to 26"):
        spell(np.array([[27]]))
