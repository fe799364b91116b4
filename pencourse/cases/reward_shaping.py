"""Reward shaping as a bilevel problem: x is paid on top of the reward, f is minus the return under the true reward.

    r_x(s,a) = r(s,a) + Σ_k x_k φ_k(s,a),   |x_k| ≤ bound,      f(x, y) = −V^y_true(ρ) + (cost/2) ‖x‖².

The dynamics do not depend on x. The agent plans at temperature τ, the true return has no regulariser.
"""

from collections.abc import Sequence

import numpy as np

from ..bilevel import Objective, Term, minus_return
from ..evaluation import Evaluation
from ..models import MDP
from ..typing import Array
from ..validation import checked_array, checked_number


class RewardShapingProblem:
    """Reward shaping as a `BilevelProblem`; x (d,) are the weights of the features. Made by `problem`."""

    def __init__(self, world: MDP, features: Array, true_reward: Array, bound: float, cost: float) -> None:
        self.world, self.features, self.true_reward = world, features, true_reward
        self.bound, self.cost = bound, cost
        self.initial_upper = np.zeros(features.shape[2])

    def lower_model(self, x: Array) -> MDP:
        """The world with the reward r + Σ_k x_k φ_k."""
        return self.world.with_reward(self.world.reward + self.features @ x)

    def upper_reward(self, x: Array) -> Array:
        """The true reward (S, A), whatever x is."""
        return self.true_reward

    def upper_objective(self, x: Array, at: Evaluation, rng: np.random.Generator | None = None) -> Objective:
        """f = −V_true(ρ) + (cost/2) ‖x‖²."""
        gain = minus_return(at, self.true_reward)
        return Objective(gain.value + 0.5 * self.cost * float(x @ x), gain.policy_gradient, self.cost * x, gain.terms)

    def pull_back(self, x: Array, terms: Sequence[Term]) -> Array:
        """Σ_{s,a} mass(s,a) φ_k(s,a), shape (d,); only the lower level's reward depends on x."""
        mass = np.sum([term.mass for term in terms if term.channel == "lower"], axis=0)
        result: Array = np.tensordot(mass, self.features, axes=2) if np.ndim(mass) else np.zeros_like(x)
        return result

    def project(self, x: Array) -> Array:
        """Each weight to the nearest number in [−bound, bound]."""
        return np.clip(x, -self.bound, self.bound)


def problem(
    world: MDP,
    features: Array,
    *,
    true_reward: Array | None = None,
    bound: float = 1.0,
    cost: float = 0.0,
) -> RewardShapingProblem:
    """State reward shaping in a world as a bilevel problem.

    Parameters
    ----------
    world : MDP
        The agent's world: its reward before shaping, its temperature τ (positive for gradient methods).
    features : array (S, A, d)
        φ, what one unit of each weight pays in each state and action. Leave absorbing terminal states at 0: what is
        paid there is paid for ever.
    true_reward : array (S, A), optional
        The reward that counts in f; the world's unless given.
    bound : float
        Of each |x_k|, in units of reward per feature.
    cost : float
        Of shaping, cost ≥ 0.

    Returns
    -------
    RewardShapingProblem
        A `BilevelProblem` whose x has shape (d,).

    Raises
    ------
    ValueError
        If an array has the wrong shape or is not finite, or bound or cost is negative.
    """
    shape = world.reward.shape
    allowed = "a finite number, at least 0"
    return RewardShapingProblem(
        world,
        checked_array("features", features, (*shape, None)),
        checked_array("true_reward", world.reward if true_reward is None else true_reward, shape),
        checked_number("bound", bound, 0.0, np.inf, allowed=allowed, open_high=True),
        checked_number("cost", cost, 0.0, np.inf, allowed=allowed, open_high=True),
    )
