"""Our CartPole moves as Newton says, and as gymnasium's does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinygrad_edu.envs import CartPole


def newton(state: np.ndarray, force: float) -> np.ndarray:
    """One step from the two equations of motion, solved as they stand in Florian (2007), not by our formulas.

    (M + m) x'' + m l θ'' cos θ = F + m l θ'² sin θ    and    x'' cos θ + 4/3 l θ'' = g sin θ
    """
    x, v, angle, turning = state
    m, l, total, g, dt = 0.1, 0.5, 1.1, 9.8, 0.02  # noqa: E741
    left = [[total, m * l * math.cos(angle)], [math.cos(angle), 4 / 3 * l]]
    right = [force + m * l * turning**2 * math.sin(angle), g * math.sin(angle)]
    acceleration, angular = np.linalg.solve(left, right)
    return np.array([x + dt * v, v + dt * acceleration, angle + dt * turning, turning + dt * angular])


@pytest.mark.parametrize("seed", range(5))
def test_moves_as_the_equations_say(seed: int) -> None:
    env, pushes = CartPole(3), np.random.default_rng(seed)
    env.reset(seed=seed)
    states = env._state.copy()
    steps = 0
    while env.running.any():
        was, actions = env.running, pushes.integers(0, 2, 3)
        seen, rewards, *_ = env.step(actions)
        for cart in np.flatnonzero(was):
            states[cart] = newton(states[cart], 10.0 if actions[cart] else -10.0)
        assert rewards.tolist() == was.tolist()
        np.testing.assert_allclose(seen, states, rtol=1e-6, atol=1e-6)
        steps += 1
    assert steps > 10
    assert (np.abs(states[:, 2]) > 12 * math.pi / 180).all()


def test_a_trajectory_written_down() -> None:
    """From the middle, upright and at rest: always push right, until it falls. From `newton`, in float64."""
    env = CartPole()
    env.reset(seed=0)
    env._state[:] = 0.0
    wanted = [
        [0.000000000, 0.195121951, 0.000000000, -0.292682927],
        [0.003902439, 0.390243902, -0.005853659, -0.585365854],
        [0.011707317, 0.585447356, -0.017560976, -0.879886983],
        [0.023416264, 0.780803434, -0.035158715, -1.178038579],
        [0.039032333, 0.976363924, -0.058719487, -1.481532560],
        [0.058559611, 1.172151055, -0.088350138, -1.791960711],
        [0.082002632, 1.368145418, -0.124189352, -2.110746751],
        [0.109365541, 1.564271562, -0.166404287, -2.439088130],
        [0.140650972, 1.760381126, -0.215186050, -2.777886494],
    ]
    steps = [env.step([1]) for _ in wanted]
    seen = np.stack([step[0][0] for step in steps])
    assert [bool(step[2][0]) for step in steps] == [False] * 8 + [True]
    np.testing.assert_allclose(seen, wanted, atol=1e-7)


@pytest.mark.parametrize("seed", range(10))
def test_equals_gymnasium_to_the_bit(seed: int) -> None:
    gymnasium = pytest.importorskip("gymnasium")
    theirs, ours, pushes = gymnasium.make("CartPole-v1"), CartPole(), np.random.default_rng(seed)
    for episode in range(3):  # the second and third start from where the generator is
        start, _ = theirs.reset(seed=seed if episode == 0 else None)
        assert (ours.reset(seed=seed if episode == 0 else None)[0][0] == start).all()
        done = False
        while not done:
            action = int(pushes.integers(0, 2))
            seen, reward, terminated, truncated, _ = theirs.step(action)
            mine, rewards, fallen, late, _ = ours.step([action])
            assert mine.dtype == seen.dtype
            assert (mine[0] == seen).all()
            assert (rewards[0], fallen[0], late[0]) == (reward, terminated, truncated)
            done = terminated or truncated
        assert not ours.running[0]


def test_a_whole_episode_equals_gymnasiums_to_its_limit() -> None:
    """A simple rule keeps the pole up: push towards where it leans and turns."""
    gymnasium = pytest.importorskip("gymnasium")
    theirs, ours = gymnasium.make("CartPole-v1"), CartPole()
    seen, _ = theirs.reset(seed=4)
    ours.reset(seed=4)
    for step in range(1, 501):
        action = int(seen[2] + 0.3 * seen[3] + 0.02 * seen[0] + 0.05 * seen[1] > 0)
        seen, _, terminated, truncated, _ = theirs.step(action)
        mine, _, fallen, late, _ = ours.step([action])
        assert (mine[0] == seen).all()
        assert (fallen[0], late[0]) == (terminated, truncated) == (False, step == 500)


def test_carts_are_those_of_single_worlds_and_stay_where_they_fell() -> None:
    together, alone = CartPole(3, limit=30), [CartPole(limit=30) for _ in range(3)]
    seen, _ = together.reset(seed=7)
    singles = [env.reset(seed=7 + cart)[0][0] for cart, env in enumerate(alone)]
    assert (seen == singles).all()
    for step in range(30):
        actions = np.array([1, step % 2, 0])
        seen, rewards, _, _, _ = together.step(actions)
        for cart, env in enumerate(alone):
            mine, reward, *_ = env.step(actions[cart : cart + 1])
            assert (mine[0] == seen[cart]).all()
            assert reward[0] == rewards[cart]
    assert together._steps[0] < 30
    assert together._steps[1] == 30
    assert not together.running.any()


def test_refusals() -> None:
    env = CartPole(2)
    with pytest.raises(RuntimeError, match="before the first reset"):
        env.step([0, 1])
    env.reset(seed=0)
    for wrong in ([0], [0, 2], [0.5, 1], [[0, 1]], [np.nan, 0]):
        with pytest.raises(ValueError, match="must be 2 numbers 0 or 1"):
            env.step(wrong)
    with pytest.raises(ValueError, match="at least 1"):
        CartPole(0)
