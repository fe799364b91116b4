"""A bilevel problem for tests: x mixes rewards, kernels, or both, and f says no to nothing."""

import numpy as np

from pencourse import MDP, Entropy, check_problem
from pencourse.bilevel import Objective, minus_return


class Mixture:
    """r_x = r_0 + Σ x_k (r_k − r_0) and P_x likewise, x in a small box; f = −V_upper + ½‖x‖² + Σ w ⊙ y.

    Every part of the interface is used: the upper reward depends on x, f on x directly and on y directly.
    """

    def __init__(self, seed, *, shapes="both", branching=None, regularizer=None, temperature=0.1, discount=0.9):
        rng = np.random.default_rng(seed)
        n_states, n_actions, n_upper = 5, 3, 3
        full = (n_upper + 1, n_states, n_actions, n_states)
        kernels = rng.dirichlet(np.full(n_states, 0.7), size=full[:3])
        if branching is not None:
            kept = rng.permuted(np.broadcast_to(np.arange(n_states) < branching, full), axis=3)
            kernels = np.where(kept, kernels + 1e-3, 0.0)
            kernels /= kernels.sum(axis=3, keepdims=True)
        self.kernels = kernels if shapes in {"kernel", "both"} else kernels[[0] * (n_upper + 1)]
        rewards = rng.normal(size=(2, *full[:3]))
        self.lower, self.upper = rewards if shapes in {"reward", "both"} else rewards[:, [0] * (n_upper + 1)]
        self.weights = rng.normal(size=(n_states, n_actions))
        self.initial = 0.9 * rng.dirichlet(np.ones(n_states)) + 0.1 / n_states
        self.discount, self.temperature = discount, temperature
        self.regularizer = regularizer or Entropy()
        self.initial_upper = np.full(n_upper, 0.2)

    @staticmethod
    def mix(parts, x):
        return parts[0] + np.tensordot(x, parts[1:] - parts[0], axes=1)

    def lower_model(self, x):
        kernel, reward = self.mix(self.kernels, x), self.mix(self.lower, x)
        return MDP(kernel, reward, self.discount, self.initial, self.temperature, self.regularizer)

    def upper_objective(self, x, at, rng):
        gain = minus_return(at, self.mix(self.upper, x))
        value = gain.value + 0.5 * x @ x + (self.weights * at.policy).sum()
        return Objective(value, gain.policy_gradient + self.weights, x, gain.terms)

    def pull_back(self, x, terms):
        found = np.zeros(x.shape)
        for term in terms:
            rewards = self.lower if term.channel == "lower" else self.upper
            changes = rewards[1:] - rewards[0] + self.discount * (self.kernels[1:] - self.kernels[0]) @ term.next_value
            found += (changes * term.mass).sum(axis=(1, 2))
        return found

    def project(self, x):
        return np.clip(x, 0.02, 0.3)


def clerk(x, *, temperature=0.0, discount=0.9):
    """State 0: stay for a wage x, or leave; state 1 pays 1 a step for ever. The tie is at x = γ."""
    transition = np.zeros((2, 2, 2))
    transition[0, 0, 0] = transition[0, 1, 1] = 1.0
    transition[1, :, 1] = 1.0
    return MDP(transition, [[x, 0.0], [1.0, 1.0]], discount, [0.8, 0.2], temperature)


def accepted(problem, seed=0, **options):
    """Return the table of `check_problem`; a refusal is a failed assertion."""
    try:
        return check_problem(problem, np.random.default_rng(seed), **options)
    except ValueError as error:
        raise AssertionError(f"a right problem is refused: {error}") from error
