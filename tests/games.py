"""Zero-sum games for tests: random ones, small ones, and a bilevel problem above one; values from their definitions."""

import numpy as np
from problems import Mixture

from pencourse import MDP, Entropy, ZeroSumGame, solve
from pencourse.bilevel import Objective, minus_return
from pencourse.simplex import random_policy


def draw_kernel(rng, n_states, shape, branching=None):
    """Dense, or with few successors."""
    kernel = rng.dirichlet(np.full(n_states, 0.7), size=(n_states, *shape)) + 1e-3
    if branching is not None:
        kernel = kernel * rng.permuted(np.broadcast_to(np.arange(n_states) < branching, kernel.shape), axis=-1)
    return kernel / kernel.sum(axis=-1, keepdims=True)


def draw_game(
    seed, n_states=4, shape=(3, 2), *, discount=0.9, temperature=0.1, regularizer=None, branching=None
) -> ZeroSumGame:
    """Signed rewards, ρ positive and not uniform."""
    rng = np.random.default_rng(seed)
    kernel = draw_kernel(rng, n_states, shape, branching)
    initial = 0.9 * rng.dirichlet(np.ones(n_states)) + 0.1 / n_states
    reward = rng.normal(size=(n_states, *shape))
    return ZeroSumGame(kernel, reward, discount, initial, temperature, regularizer or Entropy())


def draw_pair(seed, game, *, inner=0.0):
    """A pair of random policies, mixed with a share `inner` of the uniform ones."""
    rng = np.random.default_rng(seed)
    return tuple((1 - inner) * random_policy(rng, game.n_states, n) + inner / n for n in game.n_actions)


def one_state(reward, *, discount=0.0, temperature=0.1):
    """The same matrix game again and again."""
    reward = np.asarray(reward, dtype=float)
    return ZeroSumGame(np.ones((1, *reward.shape, 1)), reward[None], discount, [1.0], temperature)


def pennies(**options):
    """Matching pennies: player 1 wins 1 where both show the same side, and loses 1 elsewhere."""
    return one_state([[1.0, -1.0], [-1.0, 1.0]], **options)


def cost_of(game, policy):
    """h of each row, written out."""
    if game.regularizer.name == "entropy":
        return np.array([sum(u * np.log(u) for u in row if u > 0) for row in policy])
    return 0.5 * (policy**2).sum(axis=1)


def value_of(game, pair):
    """V of a pair from its definition, shape (S,)."""
    first, second = pair
    kernel = np.einsum("sa,sb,sabt->st", first, second, game.transition)
    reward = np.einsum("sa,sb,sab->s", first, second, game.reward)
    reward = reward + game.temperature * (cost_of(game, second) - cost_of(game, first))
    return np.linalg.solve(np.eye(game.n_states) - game.discount * kernel, reward)


def visits(game, pair):
    """d = ρ + γP'd of a pair, shape (S,)."""
    kernel = np.einsum("sa,sb,sabt->st", *pair, game.transition)
    return np.linalg.solve((np.eye(game.n_states) - game.discount * kernel).T, game.initial)


def faced(game, pair):
    """What each player faces, written out."""
    first, second = pair
    tau, rest = game.temperature, (game.discount, game.initial, game.temperature, game.regularizer)
    one = np.einsum("sb,sab->sa", second, game.reward) + tau * cost_of(game, second)[:, None]
    two = -np.einsum("sa,sab->sb", first, game.reward) + tau * cost_of(game, first)[:, None]
    return (
        MDP(np.einsum("sb,sabt->sat", second, game.transition), one, *rest),
        MDP(np.einsum("sa,sabt->sbt", first, game.transition), two, *rest),
    )


def answers(game, pair):
    """The best answer of each player, solved to rounding."""
    return tuple(solve(mdp, tolerance=1e-13) for mdp in faced(game, pair))


def height(game, pair):
    """ψ: what both get by their best answers, added up."""
    return sum(plan.expected_return for plan in answers(game, pair))


def derivative(function, step):
    """f′(0) by differences; error of order step⁴."""
    return (function(-2 * step) - 8 * function(-step) + 8 * function(step) - function(2 * step)) / (12 * step)


class Arena(Mixture):
    """`Mixture` with a game below: x mixes rewards and kernels, f depends directly on x and on both policies."""

    def __init__(self, seed, *, shape=(3, 2), shapes="both", branching=None, temperature=0.1, discount=0.9):
        rng = np.random.default_rng(seed)
        n_states, n_upper = 4, 3
        base = draw_kernel(rng, n_states, (n_upper + 1, *shape), branching)
        kernels = np.moveaxis(base, 1, 0)
        self.kernels = kernels if shapes in {"kernel", "both"} else kernels[[0] * (n_upper + 1)]
        rewards = rng.normal(size=(2, n_upper + 1, n_states, *shape))
        self.lower, self.upper = rewards if shapes in {"reward", "both"} else rewards[:, [0] * (n_upper + 1)]
        self.weights = tuple(rng.normal(size=(n_states, n)) for n in shape)
        self.initial = 0.9 * rng.dirichlet(np.ones(n_states)) + 0.1 / n_states
        self.discount, self.temperature = discount, temperature
        self.initial_upper = np.full(n_upper, 0.2)

    def lower_model(self, x):
        kernel, reward = self.mix(self.kernels, x), self.mix(self.lower, x)
        return ZeroSumGame(kernel, reward, self.discount, self.initial, self.temperature)

    def upper_objective(self, x, at, rng):
        gain = minus_return(at, self.mix(self.upper, x))
        value = gain.value + 0.5 * x @ x
        value += sum((w * policy).sum() for w, policy in zip(self.weights, at.policies, strict=True))
        slopes = tuple(slope + w for slope, w in zip(gain.policy_gradient, self.weights, strict=True))
        return Objective(value, slopes, x, gain.terms)

    def pull_back(self, x, terms):
        found = np.zeros(x.shape)
        for term in terms:
            rewards = self.lower if term.channel == "lower" else self.upper
            changes = rewards[1:] - rewards[0] + self.discount * (self.kernels[1:] - self.kernels[0]) @ term.next_value
            found += (changes * term.mass).sum(axis=(1, 2, 3))
        return found
