"""The exact hypergradient, through the lower level's solution, and descent along it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..bilevel import (
    BilevelProblem,
    CheckedProblem,
    Objective,
    Run,
    State,
    Term,
    checked,
    default_step,
    record,
    refuse_unregularised,
    upper_derivative,
)
from ..cases import stated
from ..equilibria import Equilibrium, solve_zero_sum, stage_adjoint
from ..models import MDP, StackelbergGame, ZeroSumGame
from ..planning import Plan, solve
from ..typing import Array
from ..validation import checked_array, checked_positive


@dataclass(frozen=True, eq=False)
class Hypergradient:
    """φ(x) = f(x, π*(x)) and its gradient.

    Attributes
    ----------
    value : float
        φ(x).
    gradient : array like x
        ∇φ(x).
    objective : Objective
        f at (x, π*(x)) with its partial derivatives.
    best : Plan or Equilibrium
        The lower level's solution.
    """

    value: float
    gradient: Array
    objective: Objective
    best: Any


def hypergradient(
    problem: BilevelProblem | CheckedProblem,
    x: Array,
    *,
    rng: np.random.Generator | None = None,
    initial_value: Array | None = None,
) -> Hypergradient:
    """Differentiate φ(x) = f(x, π*(x)) exactly, for τ > 0.

    By the chain rule ∇φ = ∂f/∂x + Σ ∂f/∂y(a|s) ∇π*(a|s). In each state π*_s is the maximiser at Q*_s, whose derivative
    D_s is symmetric (entropy: D_s v = π*_s ⊙ (v − ⟨π*_s, v⟩)/τ), so the second sum is Σ u ∇Q* with u_s = D_s ∂f/∂y_s:
    the adjoint of the Bellman penalty with other weights, one transposed solve (lesson 06).

    In a zero-sum game y is the equilibrium, which the entropy makes unique. In each state it is the saddle point of the
    stage game Q*_s, so u_s comes from the adjoint of a saddle point's response (`equilibria.stage_adjoint`); as
    dV*(s) = Σ π₁π₂ dQ*(s,·,·), the rest is the same with π₁π₂ for π* (lesson 13).

    Parameters
    ----------
    problem : BilevelProblem
    x : array
        A point of X.
    rng : numpy.random.Generator, optional
        Passed on to the problem's `upper_objective`.
    initial_value : array (S,), optional
        A warm start for the lower level.

    Returns
    -------
    Hypergradient
        Exact up to the lower level's tolerance; in a game up to the root of its gap over τ, about 1e-5 at τ = 0.1.

    Raises
    ------
    ValueError
        If τ = 0, where π*(x) jumps and φ has no gradient to follow; or if the problem's answers are bad.
    ConvergenceError
        If the lower level is not solved.
    """
    problem = checked(problem)
    x = checked_array("x", x, problem.initial_upper.shape)
    model = problem.lower_model(x)
    refuse_unregularised(model)
    best = _solution(model, initial_value)
    at = best.evaluation
    objective = problem.upper_objective(x, at, rng)
    response = Term(at.action_value_adjoint(response_weights(best, objective)), best.value)
    return Hypergradient(objective.value, upper_derivative(problem, x, objective, [response]), objective, best)


def _solution(model: MDP | ZeroSumGame, initial_value: Array | None) -> Plan | Equilibrium:
    if isinstance(model, ZeroSumGame):
        # Policies are good to the root of the gap over τ, and the gradient is read from them.
        return solve_zero_sum(model, initial_value=initial_value, tolerance=1e-10)
    return solve(model, initial_value=initial_value)


def _soft_solves(best: Plan | Equilibrium) -> int:
    """Count what a solution took: an equilibrium's values, one linear solve each, and its two best responses."""
    return best.iterations + 2 if isinstance(best, Equilibrium) else 1


def response_weights(best: Plan | Equilibrium, objective: Objective) -> Array:
    """Return u with Σ ∂f/∂y dy* = Σ u dQ*, shaped like Q*."""
    if isinstance(best, Equilibrium):
        first, second = objective.policy_gradients
        return stage_adjoint(best.policies, best.action_value, (first, second), best.game.temperature)
    h, slope = best.mdp.regularizer, objective.policy_gradient
    return h.maximizer_derivative(best.policy, slope, best.mdp.temperature)


def hypergradient_states(
    problem: BilevelProblem | StackelbergGame,
    *,
    step: float | None,
    start: Array | None = None,
    rng: np.random.Generator | None = None,
) -> Iterator[State]:
    """Yield the states of x ← Proj_X[x − α∇φ(x)], without end; parameters as in `hypergradient_descent`."""
    problem, value = checked(stated(problem)), None

    def exact(x: Array) -> tuple[Hypergradient, int]:
        nonlocal value
        found = hypergradient(problem, x, rng=rng, initial_value=value)
        value = found.best.value
        return found, _soft_solves(found.best)

    return descend(problem, exact, step=step, start=start)


def descend(
    problem: CheckedProblem,
    find: Callable[[Array], tuple[Hypergradient, int]],
    *,
    step: float | None,
    start: Array | None,
    exact: bool = True,
) -> Iterator[State]:
    """Yield the states of x ← Proj_X[x − αg], (g, the soft solves it took) = find(x), without end.

    Unless it is exact, what is found is f at a policy that need not be optimal, and no φ.
    """
    step = None if step is None else checked_positive("step", step)
    x, solves = problem.begin(start), 0
    while True:
        found, more = find(x)
        solves += more
        step = default_step(found.gradient) if step is None else step
        new = problem.project(x - step * found.gradient)
        yield State(
            upper=x,
            lower=found.best.policies if isinstance(found.best, Equilibrium) else found.best.policy,
            objective=found.value,
            penalty=0.0 if exact else np.nan,
            penalized_objective=found.value if exact else np.nan,
            hyper_objective=found.value if exact else np.nan,
            gradient_mapping=float(np.linalg.norm(x - new)) / step,
            oracle_residual=found.best.residual,
            soft_solves=solves,
        )
        x = new


def hypergradient_descent(
    problem: BilevelProblem | StackelbergGame,
    *,
    iterations: int = 300,
    step: float | None = None,
    start: Array | None = None,
    tolerance: float = 0.0,
    rng: np.random.Generator | None = None,
    progress: bool = False,
) -> Run:
    """Descend along the exact hypergradient, projected onto X: the lower level is solved anew at every step.

    Parameters
    ----------
    problem : BilevelProblem or StackelbergGame
        With τ > 0.
    iterations : int
        Steps at most.
    step : float, optional
        α > 0. Unless given, the one that first moves the coordinate of x that is pushed most by 0.3.
    start : array, optional
        Where to start; the problem's `initial_upper` unless given.
    tolerance : float
        Stop once ‖x − Proj_X[x − α∇φ(x)]‖/α is at or below it.
    rng : numpy.random.Generator, optional
        Passed on to the problem.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Run

    Raises
    ------
    ValueError
        As in `hypergradient`; if step is not positive or iterations is negative.
    """
    states = hypergradient_states(problem, step=step, start=start, rng=rng)
    return record(states, iterations, tolerance=tolerance, progress=progress)
