"""Tuning honestly: searches that cannot see the test rows, repeated seeds with statistics, scikit-learn estimators."""

from typing import Any

from .search import GridSearch, OptunaSearch, RandomSearch, Search, SuccessiveHalving, Trial
from .seeds import Comparison, Outcome, Repeats, compare, repeat
from .space import Integers, Uniform, all_settings, random_settings
from .statistics import confidence_interval, sign_flip_p, student_t, t_quantile

__all__ = [
    "Autoencoder",
    "Classifier",
    "Comparison",
    "GridSearch",
    "Integers",
    "OptunaSearch",
    "Outcome",
    "RandomSearch",
    "Regressor",
    "Repeats",
    "Search",
    "SuccessiveHalving",
    "Trial",
    "Uniform",
    "all_settings",
    "compare",
    "confidence_interval",
    "random_settings",
    "repeat",
    "sign_flip_p",
    "student_t",
    "t_quantile",
]


def __getattr__(name: str) -> Any:
    """The estimators, which need scikit-learn, are loaded when they are asked for."""
    if name in ("Autoencoder", "Classifier", "Regressor"):
        from . import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
