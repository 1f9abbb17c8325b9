"""REINFORCE: nobody says which action was right; what led to more reward than usual becomes likelier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..autograd import no_grad
from ..creation import tensor
from ..errors import InputError
from ..nn import Module
from ..nn import functional as F
from ..optim import Optimizer


class World(Protocol):
    """What `play` needs of a world: `envs.CartPole` has it. `running` (N,) says which episodes go on."""

    running: np.ndarray

    def reset(self, *, seed: int | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin N episodes: `(seen (N, ...), {})`."""

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Act in all of them: `(seen, rewards, terminated, truncated, {})`."""


@dataclass(frozen=True)
class Episodes:
    """N episodes side by side, T steps: what was `seen` (T, N, ...), the `actions`, the `rewards`, and where an episode
    was still `running`, each (T, N)."""

    seen: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    running: np.ndarray

    @property
    def returns(self) -> np.ndarray:
        """The sum of the rewards of each episode, (N,)."""
        return np.asarray(self.rewards.sum(0))


def play(policy: Module, world: World, draw: np.random.Generator | None, *, seed: int | None = None) -> Episodes:
    """Begin the episodes of `world` (with `seed`) and play them to their ends.

    `policy` takes what is seen, (N, ...), and gives logits of the actions, (N, A). An action is drawn by its chance;
    with `draw` None it is always the likeliest.
    """
    seen, _ = world.reset(seed=seed)
    steps = []
    with no_grad():
        while world.running.any():
            logits = policy(tensor(seen))
            summed = logits.softmax(1).numpy().astype(np.float64).cumsum(1)
            chance = None if draw is None else draw.random((len(seen), 1)) * summed[:, -1:]
            actions = logits.argmax(1).numpy() if chance is None else (summed <= chance).sum(1)
            before, running = seen, world.running
            seen, rewards, *_ = world.step(actions)
            steps.append((before, actions, rewards, running))
    return Episodes(*(np.stack(column) for column in zip(*steps, strict=True)))


def rewards_to_go(rewards: np.ndarray, discount: float = 0.99) -> np.ndarray:
    """(T, ...): at each step the reward of this step and of all later ones, each step further `discount` times less."""
    if not 0 <= discount <= 1:
        raise InputError(f"rewards_to_go: discount is {discount}; it lies between 0 (now only) and 1 (all alike)")
    result = np.zeros(np.shape(rewards))
    later = np.zeros(np.shape(rewards)[1:])
    for step in reversed(range(len(result))):
        later = rewards[step] + discount * later
        result[step] = later
    return result


def advantages(episodes: Episodes, discount: float = 0.99) -> np.ndarray:
    """(T, N): how much better than the other episodes each went on from each step, in standard deviations.

    The mean of the episodes that are running at the same step is taken away, which changes no gradient on average and
    makes it much less noisy (Williams 1992). 0 where an episode is over.
    """
    running = episodes.running
    ahead = rewards_to_go(episodes.rewards, discount)
    ahead = ahead - (ahead * running).sum(1, keepdims=True) / np.maximum(running.sum(1, keepdims=True), 1)
    return np.where(running, (ahead - ahead[running].mean()) / (ahead[running].std() + 1e-6), 0.0)


def policy_loss(policy: Module, episodes: Episodes, weights: np.ndarray) -> Any:
    """−mean(weight · ln p(action)) over all steps of running episodes; its gradient is REINFORCE's (Williams 1992)."""
    was = episodes.running
    actions = tensor(episodes.actions[was])
    losses = F.cross_entropy(policy(tensor(episodes.seen[was])), actions, reduction="none")
    return (losses * tensor(weights[was].astype(np.float32))).mean()


def reinforce(policy: Module, optimizer: Optimizer, world: World, draw: np.random.Generator, *,
              discount: float = 0.99, seed: int | None = None) -> Episodes:  # fmt: skip
    """One update: play the world's episodes, make the actions likelier that went well; the episodes it learnt from.

    Source: R. J. Williams, "Simple statistical gradient-following algorithms", Machine Learning 8 (1992).
    """
    episodes = play(policy, world, draw, seed=seed)
    optimizer.zero_grad()
    policy_loss(policy, episodes, advantages(episodes, discount)).backward()
    optimizer.step()
    return episodes
