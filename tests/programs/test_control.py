"""Reinforcement learning as people write it for PyTorch, on a cart with a pole, in both libraries: equal losses.

The first library draws the actions; the second is handed them, so that both see the same episodes.
"""

from __future__ import annotations

import math
import random
from collections import deque, namedtuple
from itertools import count
from typing import Any

import numpy as np

from .twins import Losses, copy_weights, libraries


class CartPole:
    """A pole on a cart that is pushed left or right (Barto, Sutton & Anderson 1983); it falls beyond 12 degrees."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def reset(self) -> np.ndarray[Any, Any]:
        """Position, velocity, angle, angular velocity, near 0."""
        self.state = self.rng.uniform(-0.05, 0.05, 4)
        return self.state.astype(np.float32)

    def step(self, action: int) -> tuple[np.ndarray[Any, Any], float, bool]:
        """The next state, a reward of 1, whether the pole has fallen or the cart left."""
        x, v, angle, turn = self.state
        force, length, mass, total = (10.0 if action == 1 else -10.0), 0.5, 0.1, 1.1
        sine, cosine = math.sin(angle), math.cos(angle)
        push = (force + mass * length * turn**2 * sine) / total
        spin = (9.8 * sine - cosine * push) / (length * (4.0 / 3.0 - mass * cosine**2 / total))
        pull = push - mass * length * spin * cosine / total
        self.state = np.array([x + 0.02 * v, v + 0.02 * pull, angle + 0.02 * turn, turn + 0.02 * spin])
        return self.state.astype(np.float32), 1.0, bool(abs(self.state[0]) > 2.4 or abs(self.state[2]) > 0.2095)


def reinforce(torch: Any, episodes: int, weights: dict[str, Any], drawn: list[int], replay: bool) -> Losses:
    """REINFORCE (Williams 1992): log-probabilities of what was done, times the normalised sum of what followed."""
    nn, F, optim = torch.nn, torch.nn.functional, torch.optim
    eps = np.finfo(np.float32).eps.item()
    actions = iter(list(drawn))

    class Policy(nn.Module):  # type: ignore[misc, name-defined]
        """Four numbers → probabilities of left and right."""

        def __init__(self) -> None:
            super().__init__()
            self.affine1 = nn.Linear(4, 32)
            self.dropout = nn.Dropout(p=0.0)
            self.affine2 = nn.Linear(32, 2)
            self.saved_log_probs: list[Any] = []
            self.rewards: list[float] = []

        def forward(self, x: Any) -> Any:
            x = self.dropout(self.affine1(x))
            return F.softmax(self.affine2(F.relu(x)), dim=1)

    torch.manual_seed(543)
    env = CartPole(1)
    policy = copy_weights(torch, Policy(), weights)
    optimizer = optim.Adam(policy.parameters(), lr=1e-2)

    def select_action(state: Any) -> int:
        state = torch.from_numpy(state).float().unsqueeze(0)
        m = torch.distributions.Categorical(policy(state))
        action = torch.tensor([next(actions)]) if replay else m.sample()
        if not replay:
            drawn.append(action.item())
        policy.saved_log_probs.append(m.log_prob(action))
        return int(action.item())

    losses = []
    for _ in range(episodes):
        state = env.reset()
        for _ in range(1, 100):
            state, reward, done = env.step(select_action(state))
            policy.rewards.append(reward)
            if done:
                break
        R, policy_loss, returns = 0.0, [], deque()
        for r in policy.rewards[::-1]:
            R = r + 0.99 * R
            returns.appendleft(R)
        returns = torch.tensor(returns)
        returns = (returns - returns.mean()) / (returns.std() + eps)
        for log_prob, R in zip(policy.saved_log_probs, returns, strict=True):
            policy_loss.append(-log_prob * R)
        optimizer.zero_grad()
        loss = torch.cat(policy_loss).sum()
        loss.backward()
        optimizer.step()
        del policy.rewards[:]
        del policy.saved_log_probs[:]
        losses.append(loss.item())
    return losses


def test_policy_gradients_take_the_same_steps() -> None:
    weights: dict[str, Any] = {}
    drawn: list[int] = []
    ours, theirs = (reinforce(torch, 50, weights, drawn, i > 0) for i, torch in enumerate(libraries()))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-4)
    assert 0.2 < np.mean(drawn) < 0.8


SavedAction = namedtuple("SavedAction", ["log_prob", "value"])


def actor_critic(torch: Any, episodes: int, weights: dict[str, Any], drawn: list[int], replay: bool) -> Losses:
    """One net with two heads: what to do, and what it is worth; advantage and a smooth L1 loss."""
    nn, F, optim = torch.nn, torch.nn.functional, torch.optim
    Categorical = torch.distributions.Categorical
    actions = iter(list(drawn))

    class Policy(nn.Module):  # type: ignore[misc, name-defined]
        """Actor and critic."""

        def __init__(self) -> None:
            super().__init__()
            self.affine1 = nn.Linear(4, 32)
            self.action_head = nn.Linear(32, 2)
            self.value_head = nn.Linear(32, 1)
            self.saved_actions: list[Any] = []
            self.rewards: list[float] = []

        def forward(self, x: Any) -> tuple[Any, Any]:
            x = F.relu(self.affine1(x))
            return F.softmax(self.action_head(x), dim=-1), self.value_head(x)

    torch.manual_seed(54)
    env = CartPole(2)
    model = copy_weights(torch, Policy().double(), weights)
    optimizer = optim.Adam(model.parameters(), lr=3e-2)
    losses = []
    for _ in range(episodes):
        state = env.reset()
        for _ in range(1, 60):
            probs, state_value = model(torch.from_numpy(state).double())
            m = Categorical(probs)
            action = torch.tensor(next(actions)) if replay else m.sample()
            if not replay:
                drawn.append(action.item())
            model.saved_actions.append(SavedAction(m.log_prob(action), state_value))
            state, reward, done = env.step(action.item())
            model.rewards.append(reward)
            if done:
                break
        R, policy_losses, value_losses, returns = 0.0, [], [], []
        for r in model.rewards[::-1]:
            R = r + 0.99 * R
            returns.insert(0, R)
        returns = torch.tensor(returns, dtype=torch.float64)
        returns = (returns - returns.mean()) / (returns.std() + 1e-8)
        for (log_prob, value), R in zip(model.saved_actions, returns, strict=True):
            advantage = R - value.item()
            policy_losses.append(-log_prob * advantage)
            value_losses.append(F.smooth_l1_loss(value, torch.tensor([R])))
        optimizer.zero_grad()
        loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum() - 0.01 * m.entropy()
        loss.backward()
        optimizer.step()
        del model.rewards[:]
        del model.saved_actions[:]
        losses.append(loss.item())
    return losses


def test_actor_and_critic_take_the_same_steps() -> None:
    weights: dict[str, Any] = {}
    drawn: list[int] = []
    ours, theirs = (actor_critic(torch, 50, weights, drawn, i > 0) for i, torch in enumerate(libraries()))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8)


Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))


class ReplayMemory:
    """The last transitions, drawn at random."""

    def __init__(self, capacity: int) -> None:
        self.memory: deque[Transition] = deque(maxlen=capacity)

    def push(self, *args: Any) -> None:
        """Remember one."""
        self.memory.append(Transition(*args))

    def sample(self, batch_size: int) -> list[Transition]:
        """Some, without repetition."""
        return random.sample(self.memory, batch_size)

    def __len__(self) -> int:
        return len(self.memory)


def deep_q(torch: Any, steps: int, weights: dict[str, Any], drawn: list[int], replay: bool) -> Losses:
    """Deep Q-learning (Mnih et al. 2015): memory, a target net that follows slowly, Huber's loss, clipped gradients."""
    nn, F, optim = torch.nn, torch.nn.functional, torch.optim
    actions = iter(list(drawn))
    random.seed(0)

    class DQN(nn.Module):  # type: ignore[misc, name-defined]
        """Four numbers → the worth of each action."""

        def __init__(self, n_observations: int, n_actions: int) -> None:
            super().__init__()
            self.layer1 = nn.Linear(n_observations, 32)
            self.layer2 = nn.Linear(32, 32)
            self.layer3 = nn.Linear(32, n_actions)

        def forward(self, x: Any) -> Any:
            return self.layer3(F.relu(self.layer2(F.relu(self.layer1(x)))))

    torch.manual_seed(3)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    policy_net = copy_weights(torch, DQN(4, 2), weights).to(device)
    target_net = DQN(4, 2).to(device)
    target_net.load_state_dict(policy_net.state_dict())
    optimizer = optim.AdamW(policy_net.parameters(), lr=1e-3, amsgrad=True)
    memory, env, losses = ReplayMemory(200), CartPole(3), []
    batch_size, gamma, tau = 16, 0.95, 0.05

    def optimize_model() -> None:
        if len(memory) < batch_size:
            return
        batch = Transition(*zip(*memory.sample(batch_size), strict=True))
        non_final_mask = torch.tensor(tuple(s is not None for s in batch.next_state), device=device, dtype=torch.bool)
        non_final_next_states = torch.cat([s for s in batch.next_state if s is not None])
        state_batch, action_batch = torch.cat(batch.state), torch.cat(batch.action)
        reward_batch = torch.cat(batch.reward)
        state_action_values = policy_net(state_batch).gather(1, action_batch)
        next_state_values = torch.zeros(batch_size, device=device)
        with torch.no_grad():
            next_state_values[non_final_mask] = target_net(non_final_next_states).max(1).values
        expected_state_action_values = (next_state_values * gamma) + reward_batch
        criterion = nn.SmoothL1Loss()
        loss = criterion(state_action_values, expected_state_action_values.unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
        optimizer.step()
        losses.append(loss.item())

    while len(losses) < steps:
        state = torch.tensor(env.reset(), dtype=torch.float32, device=device).unsqueeze(0)
        for _ in count():
            with torch.no_grad():
                greedy = policy_net(state).max(1).indices.view(1, 1)
            if replay:
                action = torch.tensor([[next(actions)]], device=device, dtype=torch.long)
            else:
                explore = torch.rand(1).item() < 0.5
                action = torch.tensor([[torch.randint(0, 2, (1,)).item()]]) if explore else greedy
                drawn.append(action.item())
            observation, reward, done = env.step(action.item())
            reward = torch.tensor([reward], device=device)
            next_state = None if done else torch.tensor(observation, dtype=torch.float32).unsqueeze(0)
            memory.push(state, action, next_state, reward)
            state = next_state
            optimize_model()
            target, policy = target_net.state_dict(), policy_net.state_dict()
            for key in policy:
                target[key] = policy[key] * tau + target[key] * (1 - tau)
            target_net.load_state_dict(target)
            if done or len(losses) >= steps:
                break
    return losses


def test_deep_q_learning_takes_the_same_steps() -> None:
    weights: dict[str, Any] = {}
    drawn: list[int] = []
    ours, theirs = (deep_q(torch, 80, weights, drawn, i > 0) for i, torch in enumerate(libraries()))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def clipped_policy(torch: Any, updates: int, weights: dict[str, Any], drawn: list[list[float]], replay: bool) -> Losses:
    """Proximal policy optimisation (Schulman et al. 2017) of a Gaussian policy: push to where a number says."""
    nn, optim = torch.nn, torch.optim
    Normal = torch.distributions.Normal
    given = iter(list(drawn))

    def layer_init(layer: Any, std: float = math.sqrt(2), bias_const: float = 0.0) -> Any:
        torch.nn.init.orthogonal_(layer.weight, std)
        torch.nn.init.constant_(layer.bias, bias_const)
        return layer

    class Agent(nn.Module):  # type: ignore[misc, name-defined]
        """Critic, mean of the actor, and the logarithm of its spread as a parameter."""

        def __init__(self) -> None:
            super().__init__()
            self.critic = nn.Sequential(layer_init(nn.Linear(3, 16)), nn.Tanh(), layer_init(nn.Linear(16, 1), std=1.0))
            self.actor_mean = nn.Sequential(
                layer_init(nn.Linear(3, 16)), nn.Tanh(), layer_init(nn.Linear(16, 2), std=0.01)
            )
            self.actor_logstd = nn.Parameter(torch.zeros(1, 2))

        def get_action_and_value(self, x: Any, action: Any = None) -> tuple[Any, ...]:
            action_mean = self.actor_mean(x)
            probs = Normal(action_mean, torch.exp(self.actor_logstd.expand_as(action_mean)))
            if action is None:
                action = probs.sample()
            return action, probs.log_prob(action).sum(1), probs.entropy().sum(1), self.critic(x)

    torch.manual_seed(6)
    agent = copy_weights(torch, Agent().double(), weights)
    optimizer = optim.Adam(agent.parameters(), lr=1e-2, eps=1e-5)
    rng, losses = np.random.default_rng(4), []
    for update in range(updates):
        frac = 1.0 - update / updates
        optimizer.param_groups[0]["lr"] = frac * 1e-2
        obs = torch.tensor(rng.standard_normal((24, 3)))
        with torch.no_grad():
            known = torch.tensor(next(given)) if replay else None
            actions, logprobs, _, values = agent.get_action_and_value(obs, known)
            if not replay:
                drawn.append(actions.tolist())
        rewards = -((actions - obs[:, :2]) ** 2).sum(1)
        advantages = rewards - values.flatten()
        returns = advantages + values.view(-1)
        b_inds = np.arange(24)
        for _ in range(2):
            rng.shuffle(b_inds)
            for start in range(0, 24, 12):
                mb_inds = b_inds[start : start + 12]
                _, newlogprob, entropy, newvalue = agent.get_action_and_value(obs[mb_inds], actions[mb_inds])
                logratio = newlogprob - logprobs[mb_inds]
                ratio = logratio.exp()
                with torch.no_grad():
                    approx_kl = ((ratio - 1) - logratio).mean()
                mb_advantages = advantages[mb_inds]
                mb_advantages = (mb_advantages - mb_advantages.mean()) / (mb_advantages.std() + 1e-8)
                pg_loss = torch.max(-mb_advantages * ratio, -mb_advantages * torch.clamp(ratio, 0.8, 1.2)).mean()
                v_loss = 0.5 * ((newvalue.view(-1) - returns[mb_inds]) ** 2).mean()
                loss = pg_loss - 0.01 * entropy.mean() + v_loss * 0.5
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                optimizer.step()
                losses += [loss.item(), approx_kl.item()]
    return losses


def test_proximal_policy_optimisation_takes_the_same_steps() -> None:
    weights: dict[str, Any] = {}
    drawn: list[list[float]] = []
    ours, theirs = (clipped_policy(torch, 20, weights, drawn, i > 0) for i, torch in enumerate(libraries()))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)
    assert np.mean(ours[-8::2]) < np.mean(ours[:8:2])
