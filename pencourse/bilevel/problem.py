"""The interface of a bilevel problem.

A problem knows how its upper variable x shapes the lower-level model, x → (r_x, P_x), and how to pull a linear form on
changes of the model back to x. Penalties and solvers speak of models and policies only; what they have to say about the
model is a few terms (`Term`), so that no (S, A, S) array of derivatives is ever made.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..evaluation import Evaluation, backup
from ..models import MDP, ZeroSumGame
from ..typing import Array
from ..validation import checked_array


@dataclass(frozen=True, eq=False)
class Term:
    """A linear form on changes of the model: Σ_{s,a} mass(s,a) [dr(s,a) + γ Σ_{s′} dP(s′|s,a) next_value(s′)].

    Attributes
    ----------
    mass : array (S, A), for a game (S, A, B)
    next_value : array (S,)
    channel : str
        Which reward dr means: "lower", the lower level's own, or "upper", the reward of the upper objective.
    """

    mass: Array
    next_value: Array
    channel: str = "lower"

    def scaled(self, factor: float) -> "Term":
        """Return the form times a number."""
        return Term(factor * self.mass, self.next_value, self.channel)


@dataclass(frozen=True, eq=False)
class Objective:
    """The upper objective at one (x, y) and its first derivatives.

    Attributes
    ----------
    value : float
        f(x, y), minimised.
    policy_gradient : array (S, A), for a game a pair of them
        ∂f/∂y(a|s) at fixed x, up to a constant in each row.
    upper_gradient : array like x
        ∂f/∂x at fixed y and fixed model; 0 stands for an array of zeros.
    terms : tuple of Term
        What f owes to x through the model, at fixed y.
    """

    value: float
    policy_gradient: Any
    upper_gradient: Array | float = 0.0
    terms: tuple[Term, ...] = field(default=())

    @property
    def policy_gradients(self) -> tuple[Array, ...]:
        """The gradient in the policy of each player of the lower level; one, if it is an MDP."""
        parts = self.policy_gradient
        return parts if isinstance(parts, tuple) else (parts,)


class BilevelProblem(Protocol):
    """What a problem has to say. `x` is an array of any shape; X is what `project` maps to, convex and closed."""

    @property
    def initial_upper(self) -> Array:
        """A point of X; descent starts here unless it is told where to start."""

    def lower_model(self, x: Array) -> MDP | ZeroSumGame:
        """Return M(x), the model in which the lower level plans or plays."""

    def upper_objective(self, x: Array, at: Evaluation, rng: np.random.Generator | None) -> Objective:
        """Return f and its derivatives at x and the policy `at.policy`, evaluated in M(x); rng if f is sampled.

        In a game `at` is a `GameEvaluation` with two policies, `at.policies`.
        """

    def pull_back(self, x: Array, terms: Sequence[Term]) -> Array:
        """Return Σ over terms of the derivative in x of Σ mass ⊙ (r_x + γ P_x next_value), like x.

        r_x is the reward that the term's channel names; mass and next_value are held fixed.
        """

    def project(self, x: Array) -> Array:
        """Return the point of X nearest to x in the Euclidean norm."""


def minus_return(at: Evaluation, reward: Array) -> Objective:
    """Return f = −V^y(ρ) for a reward of the upper level's own, without regulariser, in the dynamics of M(x).

    With V, Q the values of y under that reward, ∂V^y(ρ)/∂y(a|s) = d(s) Q(s,a), and on a change of the model V^y(ρ)
    changes by Σ d(s) y(a|s) [dr + γ dP V] (lesson 06). The term's channel is "upper".

    Parameters
    ----------
    at : Evaluation
        Of y in M(x).
    reward : array (S, A), for a game (S, A, B)

    Returns
    -------
    Objective
    """
    value = at.side_value(reward)
    gains = at.marginal(backup(at.mdp, value, reward))
    slopes = tuple(-at.occupancy[:, None] * gain for gain in gains)
    terms = (Term(-at.state_action_occupancy, value, "upper"),)
    return Objective(-float(at.mdp.initial @ value), slopes if len(slopes) > 1 else slopes[0], 0.0, terms)


class CheckedProblem:
    """A problem whose every answer is looked at: shapes, finite numbers, a projection that stays in X.

    Made by `checked`. A bad answer raises ValueError with the name of the method that gave it.
    """

    def __init__(self, problem: Any) -> None:
        self.problem = problem
        missing = [
            name
            for name in ("initial_upper", "lower_model", "upper_objective", "pull_back", "project")
            if not hasattr(problem, name)
        ]
        if missing:
            raise ValueError(f"{self._name()} has no {missing[0]}; a bilevel problem has to say it.")
        self._projects = False
        start = np.asarray(problem.initial_upper)
        self.initial_upper = self._array("initial_upper", "it", start, start.shape)

    def _name(self, method: str = "") -> str:
        return type(self.problem).__name__ + (f".{method}" if method else "")

    def _array(self, method: str, what: str, values: Any, shape: tuple[int, ...]) -> Array:
        if type(values) is np.ndarray and values.dtype == np.float64 and values.shape == shape:
            flat = values.reshape(-1)
            if math.isfinite(flat.dot(flat)):  # no NaN, no infinity: nothing to say, and nothing to copy
                return values
        return checked_array(f"{self._name(method)}: {what}", values, shape)

    def lower_model(self, x: Array) -> MDP | ZeroSumGame:
        """M(x), an MDP or a zero-sum game."""
        try:
            model = self.problem.lower_model(x)
        except ValueError as error:
            raise ValueError(f"{self._name('lower_model')}: {error}") from error
        if not isinstance(model, MDP | ZeroSumGame):
            found = f"{self._name('lower_model')} returned a {type(model).__name__}"
            raise ValueError(f"{found}; allowed is an MDP or a ZeroSumGame.")
        return model

    def lower_mdp(self, x: Array) -> MDP:
        """M(x) for a method whose lower level has one player; a game is refused."""
        model = self.lower_model(x)
        if isinstance(model, ZeroSumGame):
            raise ValueError(f"{self._name('lower_model')} returned a ZeroSumGame; allowed here is an MDP.")
        return model

    def upper_objective(self, x: Array, at: Evaluation, rng: np.random.Generator | None) -> Objective:
        """f at x and `at.policy`, its derivatives of the right shapes and finite."""
        found = self.problem.upper_objective(x, at, rng)
        method = "upper_objective"
        if not isinstance(found, Objective):
            raise ValueError(f"{self._name(method)} returned a {type(found).__name__}; allowed is an Objective.")
        shape, n_states = at.policy.shape, at.mdp.n_states
        slopes, policies = found.policy_gradients, at.policies
        if len(slopes) != len(policies):
            count = f"{self._name(method)}: policy_gradient has {len(slopes)} parts"
            raise ValueError(f"{count}; allowed is one for each of the {len(policies)} policies.")
        slopes = tuple(
            self._array(method, "policy_gradient" if len(slopes) == 1 else f"policy_gradient[{k}]", slope, policy.shape)
            for k, (slope, policy) in enumerate(zip(slopes, policies, strict=True))
        )
        upper = found.upper_gradient
        if np.isscalar(upper) and upper == 0:
            upper = np.zeros(self.initial_upper.shape)
        value = found.value
        if not (isinstance(value, float) and math.isfinite(value)):
            value = float(self._array(method, "value", value, ()))
        return Objective(
            value,
            slopes if len(slopes) > 1 else slopes[0],
            self._array(method, "upper_gradient", upper, self.initial_upper.shape),
            tuple(
                Term(
                    self._array(method, f"terms[{k}].mass", term.mass, shape),
                    self._array(method, f"terms[{k}].next_value", term.next_value, (n_states,)),
                    term.channel,
                )
                for k, term in enumerate(found.terms)
            ),
        )

    def upper_value(self, x: Array, at: Evaluation, rng: np.random.Generator | None) -> float:
        """f alone, for the record: its derivatives are not looked at."""
        return float(self.problem.upper_objective(x, at, rng).value)

    def upper_reward(self, x: Array, model: MDP | ZeroSumGame) -> Array:
        """The reward of the upper level's own, shape (S, A), where f is minus its return."""
        if not hasattr(self.problem, "upper_reward"):
            raise ValueError(
                f"{self._name()} has no upper_reward; exact partial minimisation needs f to be minus a return."
            )
        return self._array("upper_reward", "its result", self.problem.upper_reward(x), model.reward.shape)

    def pull_back(self, x: Array, terms: Iterable[Term]) -> Array:
        """The derivative in x of a sum of terms, like x."""
        terms = tuple(terms)
        if not terms:
            return np.zeros(self.initial_upper.shape)
        return self._array("pull_back", "its result", self.problem.pull_back(x, terms), self.initial_upper.shape)

    def begin(self, start: Array | None) -> Array:
        """The point of X at which a descent starts: the nearest to `start`, or to `initial_upper` if there is none."""
        if start is None:
            return self.project(self.initial_upper)
        return self.project(checked_array("start", start, self.initial_upper.shape))

    def project(self, x: Array) -> Array:
        """The point of X nearest to x; projected once more it may not move, which is seen the first time it did."""
        once = self._array("project", "its result", self.problem.project(x), self.initial_upper.shape)
        if self._projects:
            return once
        twice = self._array("project", "its result", self.problem.project(once), self.initial_upper.shape)
        moved = float(np.abs(twice - once).max(initial=0.0))
        if moved > 1e-6 * max(1.0, float(np.abs(once).max(initial=0.0))):
            raise ValueError(
                f"{self._name('project')} leaves X: projected once more, its result moves by {moved:.3g}; allowed is 0."
            )
        self._projects = not np.array_equal(once, x)  # a point of X that stays where it is proves nothing
        return once


def checked(problem: "BilevelProblem | CheckedProblem") -> CheckedProblem:
    """Return the problem behind checks of its answers; once is enough."""
    return problem if isinstance(problem, CheckedProblem) else CheckedProblem(problem)


def upper_derivative(
    problem: "BilevelProblem | CheckedProblem", x: Array, objective: Objective, more: Iterable[Term] = ()
) -> Array:
    """Return ∂f/∂x at fixed y, with further terms (a penalty's, an adjoint's) pulled back in the same pass, like x."""
    result: Array = objective.upper_gradient + problem.pull_back(x, (*objective.terms, *more))
    return result


def default_step(gradient: Array) -> float:
    """Return the step that moves the coordinate which is pushed most by 0.3: a first guess where none is given."""
    return 0.3 / max(float(np.abs(gradient).max(initial=0.0)), 1e-300)


def refuse_unregularised(model: MDP | ZeroSumGame) -> None:
    """Raise ValueError where the lower level has no strongly convex regulariser."""
    if model.temperature == 0 or model.regularizer.name == "none":
        what = "temperature is 0.0" if model.temperature == 0 else "regularizer is none"
        raise ValueError(
            f"{what}; allowed is a temperature above 0 with a strongly convex regulariser: without it the optimal "
            "policy (in a game, the equilibrium) jumps with x, and neither the penalty nor the hyper-objective is "
            "smooth in x."
        )
