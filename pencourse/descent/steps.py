"""The parts of one PBRL iteration: oracles for the lower level, and steps of its policies.

The lower level has one policy, or two if it is a game: all of them stand in one tuple.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any, Protocol

import numpy as np

from ..bilevel import CheckedProblem, minus_return
from ..evaluation import Evaluation, evaluation_of
from ..models import MDP, ZeroSumGame, response_mdp
from ..penalties import AnyPenalty
from ..planning import Plan, mirror_descent, solve
from ..simplex import SMALLEST, exponentiated, project
from ..typing import Array

MakePenalty = Callable[..., AnyPenalty]
Generator = np.random.Generator | None
Policies = tuple[Array, ...]
Best = Any  # a Plan; in a game a pair of them


class Oracle(Protocol):
    """Something that solves a lower-level MDP, well enough, and remembers where it was."""

    def __call__(self, model: MDP) -> tuple[Plan, int]:
        """Return a plan and the soft solves it took."""


class NewtonOracle:
    """π*(x) by `solve`, warm-started at the last plan: its value, and the factors of its policy."""

    def __init__(self) -> None:
        self.last: Plan | None = None

    def __call__(self, model: MDP) -> tuple[Plan, int]:
        """Return the optimal plan."""
        last = self.last
        warm = None if last is None else last.value, None if last is None else last.evaluation
        self.last = solve(model, initial_value=warm[0], factors=warm[1])
        return self.last, 1


class MirrorDescentOracle:
    """A number of mirror-descent steps of size η = size/τ from the last policy; each counts as a soft solve."""

    def __init__(self, steps: int, size: float) -> None:
        self.steps, self.size = steps, size
        self.policy: Array | None = None

    def __call__(self, model: MDP) -> tuple[Plan, int]:
        """Return the policy that it arrives at, with its own value."""
        states = mirror_descent(model, self.size / model.temperature, self.policy)
        plan = next(islice(states, self.steps, None))
        self.policy = plan.policy
        return plan, self.steps


class ResponseOracle:
    """Best responses in a zero-sum game: each player has an oracle for the MDP that the other one leaves it."""

    def __init__(self, make: Callable[[], Oracle]) -> None:
        self.oracles = make(), make()

    def __call__(self, game: ZeroSumGame, first: Array, second: Array) -> tuple[tuple[Plan, Plan], int]:
        """Return the plans of player 1 against π₂ and of player 2 against π₁."""
        one, solves = self.oracles[0](response_mdp(game, 1, second))
        two, more = self.oracles[1](response_mdp(game, 2, first))
        return (one, two), solves + more


class Move(Protocol):
    """A step of the policies."""

    def __call__(
        self, x: Array, model: MDP | ZeroSumGame, best: Best, policies: Policies, weight: float
    ) -> tuple[Policies, float, int]:
        """Return the new policies, the norm of the step in units of ∇_y F_λ, and the soft solves it took."""


class MirrorStep:
    """A step along −η ∇_{y_s}F_λ / (λ τ w(s)), w the penalty's weight of the state, in the geometry of h.

    Entropy: y⁺ ∝ y exp(step), which needs no bound on the curvature near 0. Squared norm: y⁺ = Proj[y + step]. With the
    value penalty, η = 1 and f = 0 both are a step of soft policy iteration; with f = −V_l one for the reward r + r_l/λ,
    whose optimal policy minimises F_λ(x, ·).
    """

    def __init__(self, problem: CheckedProblem, penalty: MakePenalty, size: float, rng: Generator) -> None:
        self.problem, self.penalty, self.size, self.rng = problem, penalty, size, rng

    def __call__(
        self, x: Array, model: MDP | ZeroSumGame, best: Best, policies: Policies, weight: float
    ) -> tuple[Policies, float, int]:
        """Return the new policies, their step's norm and 0."""
        entropic = model.regularizer.name == "entropy"
        if entropic:
            policies = tuple(np.maximum(policy, SMALLEST) for policy in policies)
        slopes, weights = penalized_slopes(self.problem, self.penalty, x, model, best, policies, weight, self.rng)
        moved, squares = [], 0.0
        for policy, slope, own in zip(policies, slopes, weights, strict=True):
            own = np.where(own > 0, own, 1.0)  # no weight, no penalty: there f's slope alone moves the row
            scale = self.size / (weight * model.temperature * own[:, None])
            if entropic:
                new = exponentiated(policy, -scale * slope)
            else:
                new = project(policy - scale * slope)
            moved.append(new)
            move = (policy - new) / scale
            squares += float(np.vdot(move, move))
        return tuple(moved), squares**0.5, 0


class ProjectedStep:
    """y⁺ = Proj[y − (η/λ) ∇_y F_λ] onto the rows with entries at least `floor`: the step of the paper's algorithm."""

    def __init__(
        self, problem: CheckedProblem, penalty: MakePenalty, size: float, rng: Generator, floor: float
    ) -> None:
        self.problem, self.penalty, self.size, self.rng, self.floor = problem, penalty, size, rng, floor

    def __call__(
        self, x: Array, model: MDP | ZeroSumGame, best: Best, policies: Policies, weight: float
    ) -> tuple[Policies, float, int]:
        """Return the new policies, their step's norm and 0."""
        policies = tuple(project(policy, self.floor) for policy in policies)  # a start may have zeros
        slopes, _ = penalized_slopes(self.problem, self.penalty, x, model, best, policies, weight, self.rng)
        step = self.size / weight
        moved = tuple(
            project(policy - step * slope, self.floor) for policy, slope in zip(policies, slopes, strict=True)
        )
        squares = sum(float(((policy - new) ** 2).sum()) for policy, new in zip(policies, moved, strict=True))
        return moved, squares**0.5 / step, 0


class ExactStep:
    """y⁺ = argmin_y F_λ(x, y) where f = −V_l + something in x alone: the optimal policy for the reward r + r_l/λ."""

    def __init__(self, problem: CheckedProblem) -> None:
        self.problem = problem
        self.value: Array | None = None

    def __call__(
        self, x: Array, model: MDP | ZeroSumGame, best: Best, policies: Policies, weight: float
    ) -> tuple[Policies, float, int]:
        """Return the minimiser, 0 and 1."""
        assert isinstance(model, MDP)  # `pbrl_partial` refuses games
        upper_reward = self.problem.upper_reward(x, model)
        if self.value is None:
            self._look(x, evaluation_of(model, policies), upper_reward)
        plan = solve(model.with_reward(model.reward + upper_reward / weight), initial_value=self.value)
        self.value = plan.value
        return (plan.policy,), 0.0, 1

    def _look(self, x: Array, at: Evaluation, upper_reward: Array) -> None:
        """Refuse an f whose slope in y is not that of a return under the upper reward."""
        stated = self.problem.upper_objective(x, at, None).policy_gradient
        gain = minus_return(at, upper_reward).policy_gradient
        off = stated - gain
        off = np.abs(off - off.mean(axis=1, keepdims=True)).max()  # a constant in a row means nothing
        if off > 1e-6 * (1.0 + np.abs(gain).max()):
            raise ValueError(
                f"upper_objective is not minus the return under upper_reward: their slopes in y differ by {off:.3g}; "
                "allowed is 0, or use pbrl."
            )


def penalized_slopes(
    problem: CheckedProblem,
    penalty: MakePenalty,
    x: Array,
    model: MDP | ZeroSumGame,
    best: Best,
    policies: Policies,
    weight: float,
    rng: Generator,
) -> tuple[list[Array], tuple[Array, ...]]:
    """Return ∇_y F_λ(x, y) and the weights of the penalty, shape (S,), for the policy of each player."""
    at = evaluation_of(model, policies)
    gap = penalty(model, at, best=best)
    own = problem.upper_objective(x, at, rng).policy_gradients
    return [f + weight * p for f, p in zip(own, gap.policy_gradients, strict=True)], gap.weights
