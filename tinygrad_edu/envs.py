"""Worlds to act in. `CartPole`: a pole on a cart, kept upright by pushing the cart to the left or to the right."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .errors import InputError, StateError

GRAVITY, CART, POLE, HALF_LENGTH, FORCE, SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02  # m/s², kg, kg, m, N, s
FARTHEST, STEEPEST = 2.4, 12 * 2 * math.pi / 360  # where an episode ends: metres from the middle, angle of the pole
Step = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]


class CartPole:
    """`count` carts side by side, each with a pole (Barto, Sutton and Anderson 1983; Florian 2007, without friction).

    What an actor sees, (count, 4) float32: place of the cart, its speed, angle of the pole, angular speed. It answers
    with 0 (push left) or 1 (push right). Each step, 1/50 s, gives a reward of 1. An episode ends when the cart leaves
    the track or the pole leans more than 12 degrees (`terminated`), or after `limit` steps (`truncated`); the cart then
    stays as it is, without reward, until `reset`. Same trajectories as gymnasium's CartPole-v1.
    """

    def __init__(self, count: int = 1, limit: int = 500) -> None:
        if count < 1 or limit < 1:
            raise InputError(f"CartPole: {count} carts with a limit of {limit} steps; both must be at least 1")
        self.count, self.limit = count, limit
        self._draw: list[np.random.Generator] = []
        self._state = np.empty((count, 4))
        self._steps = np.zeros(count, dtype=np.int64)
        self.running = np.zeros(count, dtype=bool)

    def reset(self, *, seed: int | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Every cart near the middle with its pole nearly upright, and nothing more to say: `(seen, {})`.

        Cart i draws from `seed` + i; without a seed it goes on drawing where it was, or from anywhere the first time.
        """
        if seed is not None or not self._draw:
            self._draw = [np.random.default_rng(None if seed is None else seed + cart) for cart in range(self.count)]
        self._state = np.stack([draw.uniform(-0.05, 0.05, 4) for draw in self._draw])
        self._steps[:] = 0
        self.running = np.ones(self.count, dtype=bool)
        return self._state.astype(np.float32), {}

    def step(self, actions: Any) -> Step:
        """Push each cart for 1/50 s: `(seen, rewards, terminated, truncated, {})`, the middle three (count,).

        `actions` are (count,) whole numbers, 0 or 1. StateError before the first `reset`.
        """
        push = np.asarray(actions)
        if push.shape != (self.count,) or not np.isin(push, (0, 1)).all():
            raise InputError(f"CartPole: actions must be {self.count} numbers 0 or 1, one a cart, not {actions!r}")
        if not self._draw:
            raise StateError("CartPole: step() before the first reset(); call reset() to place the carts")
        was = self.running
        self._state = np.where(was[:, None], self._moved(np.where(push == 1, FORCE, -FORCE)), self._state)
        self._steps += was
        place, _, angle, _ = self._state.T
        fallen = (np.abs(place) > FARTHEST) | (np.abs(angle) > STEEPEST)
        late = self._steps >= self.limit
        self.running = was & ~fallen & ~late
        return self._state.astype(np.float32), was.astype(np.float64), fallen, late, {}

    def _moved(self, force: np.ndarray) -> np.ndarray:
        """The state 1/50 s later (Euler's rule), from what Newton says of cart and pole together."""
        place, speed, angle, turning = self._state.T
        cos, sin, mass = np.cos(angle), np.sin(angle), CART + POLE
        pull = (force + POLE * HALF_LENGTH * np.square(turning) * sin) / mass
        angular = (GRAVITY * sin - cos * pull) / (HALF_LENGTH * (4.0 / 3.0 - POLE * np.square(cos) / mass))
        acceleration = pull - POLE * HALF_LENGTH * angular * cos / mass
        return np.stack([place + SECONDS * speed, speed + SECONDS * acceleration,
                         angle + SECONDS * turning, turning + SECONDS * angular], axis=1)  # fmt: skip
