import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.tune import (
    Outcome,
    Repeats,
    compare,
    confidence_interval,
    repeat,
    sign_flip_p,
    student_t,
    t_quantile,
)


def noisy(seed):
    return float(tg.randn(4).sum().item()) + seed


def with_predictions(seed):
    values = tg.randn(50).numpy() + np.arange(50)
    return Outcome(float(((values - np.arange(50)) ** 2).mean()), values)


def test_repeats_are_seeded_and_do_not_depend_on_workers():
    pytest.importorskip("joblib")
    first = repeat(noisy, seeds=5)
    tg.randn(3)
    assert repeat(noisy, seeds=5, workers=2).scores.tolist() == first.scores.tolist()
    assert repeat(noisy, seeds=[3]).scores[0] == first.scores[3]
    assert first.mean == pytest.approx(np.mean(first.scores))
    assert first.sd == pytest.approx(np.std(first.scores, ddof=1))
    assert "over 5 seeds" in str(first)
    assert len(first.table().splitlines()) == 6
    with pytest.raises(ValueError, match="all different"):
        repeat(noisy, seeds=[1, 1])


def test_an_ensemble_is_better_than_its_members():
    runs = repeat(with_predictions, seeds=10)
    error = ((runs.ensemble() - np.arange(50)) ** 2).mean()
    assert error < runs.mean / 4
    with pytest.raises(ValueError, match="no predictions"):
        repeat(noisy, seeds=2).ensemble()


def test_students_distribution():
    stats = pytest.importorskip("scipy.stats")
    for df in (1, 2, 3, 4, 9, 10, 99):
        for t in (0.0, 0.3, 1.0, 2.5, 12.0):
            assert student_t(t, df) == pytest.approx(stats.t.cdf(t, df), abs=1e-12)
            assert student_t(-t, df) == pytest.approx(stats.t.cdf(-t, df), abs=1e-12)
        for p in (0.6, 0.9, 0.975, 0.999):
            assert t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-9)


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = [low <= 1.0 <= high for low, high in (confidence_interval(rng.normal(1, 2, 6)) for _ in range(3000))]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)
    assert math.isnan(confidence_interval([1.0])[0])


def test_comparisons_are_paired():
    rng = np.random.default_rng(0)
    common = rng.normal(0, 1, 10)
    a, b = (Repeats(list(range(10)), [Outcome(float(v)) for v in common + shift + rng.normal(0, 0.01, 10)])
            for shift in (0.05, 0.0))  # fmt: skip
    found = compare(a, b)
    assert found.p_sign_flip < 0.01  # the common part is twenty times the difference
    assert found.p_student < 0.01
    assert found.interval[0] < 0.05 < found.interval[1]
    assert found.wins >= 9
    assert "a difference" in str(found)
    same = compare(a, a)
    assert (same.mean, same.p_sign_flip, same.wins) == (0.0, 1.0, 0)
    assert "no difference" in str(same)
    with pytest.raises(ValueError, match="seeds differ"):
        compare(a, Repeats([1, 2], a.outcomes[:2]))


def test_sign_flips():
    assert sign_flip_p([1.0, 1.0, 1.0]) == 2 / 8
    assert sign_flip_p([1.0] * 20) < 1e-3
    rng = np.random.default_rng(0)
    rejected = [sign_flip_p(rng.normal(size=8)) < 0.05 for _ in range(800)]
    assert np.mean(rejected) == pytest.approx(0.05, abs=0.02)
