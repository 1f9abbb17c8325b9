"""REINFORCE: returns, advantages, and a gradient that is the one it should be on average."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.envs import CartPole
from tinygrad_edu.train import Episodes, advantages, play, policy_loss, reinforce, rewards_to_go


class Bandit:
    """One step, three arms: arm k pays k. Small enough to know everything about."""

    def __init__(self, count: int) -> None:
        self.count, self.running = count, np.zeros(count, dtype=bool)

    def reset(self, *, seed: int | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.running = np.ones(self.count, dtype=bool)
        return np.ones((self.count, 1), dtype=np.float32), {}

    def step(self, actions: Any) -> Any:
        self.running = np.zeros(self.count, dtype=bool)
        return np.ones((self.count, 1), dtype=np.float32), np.asarray(actions, dtype=np.float64), None, None, {}


def test_rewards_to_go() -> None:
    rewards = np.array([[1.0, 2.0], [1.0, 0.0], [4.0, 0.0]])
    assert rewards_to_go(rewards, 0.5).tolist() == [[2.5, 2.0], [3.0, 0.0], [4.0, 0.0]]
    assert rewards_to_go(rewards, 0.0).tolist() == rewards.tolist()
    assert rewards_to_go(np.zeros((0, 3))).shape == (0, 3)
    with pytest.raises(ValueError, match=r"discount is 1\.5"):
        rewards_to_go(rewards, 1.5)


def test_advantages_compare_episodes_at_the_same_step() -> None:
    rewards = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    episodes = Episodes(np.zeros((3, 3, 4)), np.zeros((3, 3)), rewards, rewards > 0)
    found = advantages(episodes, 1.0)
    ahead = np.array([[3.0, 2.0, 1.0], [2.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    centred = ahead - [[2.0], [1.5], [1.0]]
    spread = centred[rewards > 0].std()
    np.testing.assert_allclose(found, np.where(rewards > 0, centred / (spread + 1e-6), 0.0), rtol=1e-12)


def test_episodes_are_what_the_world_does() -> None:
    tg.manual_seed(0)
    policy = nn.Linear(4, 2)
    episodes = play(policy, CartPole(5), np.random.default_rng(0), seed=3)
    again = CartPole(5)
    seen, _ = again.reset(seed=3)
    for step in range(len(episodes.actions)):
        assert (episodes.seen[step] == seen).all()
        assert (episodes.running[step] == again.running).all()
        seen, rewards, *_ = again.step(episodes.actions[step])
        assert (episodes.rewards[step] == rewards).all()
    assert not again.running.any()
    assert (episodes.returns == episodes.running.sum(0)).all()


def test_actions_are_as_frequent_as_the_policy_says() -> None:
    policy = nn.Linear(1, 3)
    with tg.no_grad():
        policy.weight.zero_()
        policy.bias.copy_(tg.tensor(np.log([0.2, 0.3, 0.5])))
    actions = play(policy, Bandit(20_000), np.random.default_rng(1)).actions
    np.testing.assert_allclose(np.bincount(actions[0]) / 20_000, [0.2, 0.3, 0.5], atol=0.015)
    assert (play(policy, Bandit(9), None).actions == 2).all()


def test_the_gradient_is_that_of_the_expected_return() -> None:
    """Weighted by what each arm pays, minus any constant, the loss has −d E[return] / d logits as its mean gradient."""
    policy = nn.Linear(1, 3, bias=False).double()
    p = policy(tg.ones(1, 1, dtype=tg.float64)).softmax(1).detach().numpy()[0]
    pays = np.arange(3.0)
    exact = p * (pays - p @ pays)
    for constant, arms in itertools.product((0.0, 1.3), (np.arange(3),)):
        mean = np.zeros(3)
        for arm in arms:
            policy.zero_grad()
            one = Episodes(np.ones((1, 1, 1)), np.array([[arm]]), np.array([[pays[arm]]]), np.ones((1, 1), dtype=bool))
            policy_loss(policy, one, one.rewards - constant).backward()
            mean += p[arm] * policy.weight.grad.numpy()[:, 0]
        np.testing.assert_allclose(mean, -exact, atol=1e-7)


def test_the_best_arm_is_found() -> None:
    tg.manual_seed(0)
    policy, draw = nn.Linear(1, 3), np.random.default_rng(0)
    optimizer = optim.Adam(policy.parameters(), lr=0.05)
    for _ in range(100):
        reinforce(policy, optimizer, Bandit(32), draw)
    assert play(policy, Bandit(200), draw).returns.mean() > 1.9


def test_a_pole_is_kept_up() -> None:
    tg.manual_seed(0)
    policy = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer, draw, world = optim.Adam(policy.parameters(), lr=2e-2), np.random.default_rng(0), CartPole(16)
    returns = [reinforce(policy, optimizer, world, draw, seed=0 if not i else None).returns.mean() for i in range(25)]
    assert returns[0] < 50
    assert np.mean(returns[-3:]) > 150
