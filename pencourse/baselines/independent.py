"""Independent policy gradient: both levels ascend their own return, and neither thinks of the other's answer."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from ..bilevel import (
    NEVER,
    BilevelProblem,
    Run,
    State,
    checked,
    default_step,
    record,
    refuse_unregularised,
    upper_derivative,
)
from ..cases import stated
from ..evaluation import Evaluation
from ..models import StackelbergGame
from ..planning import mirror_descent, solve
from ..simplex import uniform_policy
from ..typing import Array
from ..validation import checked_count, checked_positive


def independent_states(
    problem: BilevelProblem | StackelbergGame,
    *,
    step: float | None,
    lower_step: float,
    lower_steps: int,
    start: Array | None,
    rng: np.random.Generator | None,
) -> Iterator[State]:
    """Yield the states of independent learning, without end; parameters as in `independent_gradient`."""
    problem = checked(stated(problem))
    x = problem.begin(start)
    value = policy = None
    solves = 0
    while True:
        model = problem.lower_mdp(x)
        refuse_unregularised(model)
        policy = uniform_policy(model.n_states, model.n_actions) if policy is None else policy
        learners = mirror_descent(model, lower_step / model.temperature, policy)
        policy = next(islice(learners, lower_steps, None)).policy
        solves += lower_steps
        at = Evaluation(model, policy)
        objective = problem.upper_objective(x, at, rng)
        gradient = upper_derivative(problem, x, objective)
        step = default_step(gradient) if step is None else step
        new = problem.project(x - step * gradient)
        best = solve(model, initial_value=value)  # for the record only
        value = best.value
        yield State(
            upper=x,
            lower=policy,
            objective=objective.value,
            penalty=best.expected_return - at.expected_return,
            hyper_objective=problem.upper_objective(x, Evaluation(model, best.policy), rng).value,
            gradient_mapping=float(np.linalg.norm(x - new)) / step,
            soft_solves=solves,
        )
        x = new


def independent_gradient(
    problem: BilevelProblem | StackelbergGame,
    *,
    iterations: int = 300,
    step: float | None = None,
    lower_step: float = 1.0,
    lower_steps: int = 1,
    start: Array | None = None,
    rng: np.random.Generator | None = None,
    progress: bool = False,
) -> Run:
    """Let both levels follow their own gradient, x ← Proj_X[x − α ∂f/∂x at fixed y], y by mirror descent, y first.

    What is missing in x's gradient is ∂f/∂y · ∂π*/∂x, the answer of the lower level: where it comes to rest, x is
    stationary against a policy that is optimal for x, as in a Nash equilibrium, and not a commitment (lesson 09).

    Parameters
    ----------
    problem : BilevelProblem or StackelbergGame
        With τ > 0.
    iterations : int
        Steps at most.
    step : float, optional
        α. Unless given, the one that first moves the coordinate of x that is pushed most by 0.3.
    lower_step : float
        The lower level's steps in units of 1/τ; at 1 they are steps of policy iteration, much faster than x's.
    lower_steps : int
        As many of them in each iteration; each counts as a soft solve.
    start : array, optional
        x; `initial_upper` unless given. The policy starts uniform.
    rng : numpy.random.Generator, optional
        Passed on to the problem.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Run
        `hyper_objective` and `penalty` are computed for the record, and not counted as soft solves.

    Raises
    ------
    ValueError
        If τ = 0, an argument is out of its range, or the problem's answers are bad.

    References
    ----------
    Daskalakis, Foster and Golowich, *Independent policy gradient methods for competitive reinforcement learning*
    (2020): the same with two time scales, in zero-sum games.
    """
    step = None if step is None else checked_positive("step", step)
    lower_step, lower_steps = checked_positive("lower_step", lower_step), checked_count("lower_steps", lower_steps, 1)
    states = independent_states(
        problem, step=step, lower_step=lower_step, lower_steps=lower_steps, start=start, rng=rng
    )
    return record(states, iterations, tolerance=NEVER, progress=progress)
