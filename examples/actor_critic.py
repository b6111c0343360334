"""An actor and a critic learn to balance a pole, with the two cuts that keep their losses apart.

    python examples/actor_critic.py         with PyTorch
    wengert run examples/actor_critic.py    with wengert

The critic's target is made of its own estimates; without the first `detach` it would also move the target towards
itself. The advantage weighs the actor's log-probabilities; without the second `detach` the critic would learn to make
the actor's loss small rather than to judge. See docs/detach.md.
"""

import argparse

import numpy as np
import torch
import torch.nn as nn


class CartPole:
    """Many carts at once, each with a hinged pole (Barto, Sutton and Anderson, 1983): push left or right, stay upright.

    A state is (position, velocity, angle, angular velocity). An episode ends when the pole leans more than 12 degrees,
    the cart leaves 2.4 m, or after 500 steps; each step upright earns 1.
    """

    GRAVITY, CART, POLE, HALF_LENGTH, FORCE, DT = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
    LIMIT = 500

    def __init__(self, count, seed):
        self.random = np.random.default_rng(seed)
        self.states = self.random.uniform(-0.05, 0.05, (count, 4))
        self.ages = np.zeros(count, dtype=int)

    def step(self, actions):
        """Push each cart for 20 ms; returns which of them fell and which only ran out of time."""
        _, v, angle, spin = self.states.T
        force = np.where(actions == 1, self.FORCE, -self.FORCE)
        total, moment = self.CART + self.POLE, self.POLE * self.HALF_LENGTH
        sine, cosine = np.sin(angle), np.cos(angle)
        push = (force + moment * spin**2 * sine) / total
        turning = (self.GRAVITY * sine - cosine * push) / (self.HALF_LENGTH * (4 / 3 - self.POLE * cosine**2 / total))
        moving = push - moment * turning * cosine / total
        self.states = self.states + self.DT * np.stack([v, moving, spin, turning], axis=1)
        self.ages += 1
        fell = (np.abs(self.states[:, 0]) > 2.4) | (np.abs(self.states[:, 2]) > np.radians(12))
        timed_out = ~fell & (self.ages >= self.LIMIT)
        return fell, timed_out

    def restart(self, which):
        """Begin anew where `which` says; returns how long those episodes were."""
        lengths = self.ages[which].copy()
        self.states[which] = self.random.uniform(-0.05, 0.05, (which.sum(), 4))
        self.ages[which] = 0
        return lengths.tolist()


def network(outputs):
    return nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, outputs))


def play(carts, actor, steps):
    """Let the actor drive.

    Returns states (steps + 1, carts, 4), then actions, falls and ends by time (steps, carts), and the lengths of the
    episodes that ended.
    """
    states, actions, fell, cut, lengths = [carts.states.copy()], [], [], [], []
    for _ in range(steps):
        with torch.no_grad():
            right = torch.softmax(actor(torch.from_numpy(carts.states).float()), dim=1)[:, 1].numpy()
        actions.append((carts.random.random(len(right)) < right).astype(np.int64))
        down, late = carts.step(actions[-1])
        fell.append(down)
        cut.append(late)
        lengths += carts.restart(down | late)
        states.append(carts.states.copy())
    return (
        torch.from_numpy(np.stack(states)).float(),
        torch.from_numpy(np.stack(actions)),
        torch.from_numpy(np.stack(fell)).float(),
        torch.from_numpy(np.stack(cut)).float(),
        lengths,
    )


def targets_of(values, fell, cut, discount, trace):
    """TD(lambda) targets from value estimates (steps + 1, carts) that must not receive a gradient.

    A step earns 1 - discount here, so that the value of never falling is 1.
    """
    targets, following = [], values[-1]
    for step in reversed(range(len(fell))):
        # After a fall nothing follows. Where time ran out we look no further than this step's own estimate.
        mixed = (1 - trace) * values[step + 1] + trace * following
        following = torch.where(cut[step] > 0, values[step], 1 - discount + discount * (1 - fell[step]) * mixed)
        targets.append(following)
    return torch.stack(targets[::-1])


def learn(actor, critic, optimizer, states, actions, fell, cut, discount=0.99, trace=0.95, entropy_weight=0.01):
    values = critic(states).squeeze(-1)
    target = targets_of(values.detach(), fell, cut, discount, trace)  # the first cut
    advantage = target - values[:-1]
    log_probabilities = torch.log_softmax(actor(states[:-1]), dim=-1)
    chosen = log_probabilities.gather(-1, actions.unsqueeze(-1)).squeeze(-1)
    entropy = -(log_probabilities.exp() * log_probabilities).sum(-1).mean()
    weight = 30 * advantage.detach()  # the second cut; differences of values between 0 and 1 are small
    actor_loss = -(chosen * weight).mean() - entropy_weight * entropy
    critic_loss = (advantage**2).mean()
    optimizer.zero_grad()
    (actor_loss + critic_loss).backward()
    optimizer.step()
    return actor_loss.item(), critic_loss.item()


def main():
    options = argparse.ArgumentParser(description="An actor and a critic learn to balance a pole.")
    options.add_argument("--updates", type=int, default=300)
    options.add_argument("--carts", type=int, default=16)
    options.add_argument("--steps", type=int, default=32)
    options.add_argument("--lr", type=float, default=3e-3)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()

    torch.manual_seed(chosen.seed)
    carts = CartPole(chosen.carts, chosen.seed)
    actor, critic = network(2), network(1)
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=chosen.lr)
    recent = []
    for update in range(1, chosen.updates + 1):
        for group in optimizer.param_groups:  # smaller and smaller steps, down to none
            group["lr"] = chosen.lr * (1 - (update - 1) / chosen.updates)
        *played, lengths = play(carts, actor, chosen.steps)
        recent = (recent + lengths)[-30:]
        actor_loss, critic_loss = learn(actor, critic, optimizer, *played)
        if update % max(1, chosen.updates // 10) == 0:
            mean = sum(recent) / max(1, len(recent))
            print(
                f"update {update:4d}  mean return of the last {len(recent):2d} episodes {mean:6.1f}"
                f"  losses: actor {actor_loss:7.4f}, critic {critic_loss:7.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
