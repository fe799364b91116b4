"""PBRL's loop: one state an iteration."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..bilevel import CheckedProblem, State, default_step, refuse_unregularised, upper_derivative
from ..evaluation import evaluation_of, uniform_policies
from ..models import ZeroSumGame
from ..typing import Array
from .steps import MakePenalty, Move, Policies

StepRule = Callable[[Array], Array]  # from the gradient in x to the displacement, before projection


def pbrl_states(
    problem: CheckedProblem,
    *,
    oracle: Callable[..., tuple[Any, int]],
    move: Move,
    penalty: MakePenalty,
    weights: Iterable[float],
    temperatures: Iterable[float | None],
    step: float | StepRule | None,
    start: Array | None = None,
    policies: Policies | None = None,
    simultaneous: bool = False,
    rng: np.random.Generator | None = None,
) -> Iterator[State]:
    """Yield the states of PBRL; the runners `pbrl` and `pbrl_partial` put it together and explain the parameters.

    A state holds x before its step and y after its own (before it, if `simultaneous`), and what was computed there.
    """
    x = problem.begin(start)
    solves = 0
    for weight, temperature in zip(weights, temperatures, strict=False):
        model = problem.lower_model(x)
        if temperature is not None:
            model = model.with_temperature(temperature)
        refuse_unregularised(model)
        if isinstance(model, ZeroSumGame) and policies is None:
            policies = uniform_policies(model)
        # In a game what is best is an answer to the policies.
        best, oracle_solves = oracle(model, *(policies or () if isinstance(model, ZeroSumGame) else ()))
        policies = (best.policy,) if policies is None else policies
        moved, length, move_solves = move(x, model, best, policies, weight)
        solves += oracle_solves + move_solves
        if isinstance(model, ZeroSumGame) and not simultaneous:
            best, oracle_solves = oracle(model, *moved)
            solves += oracle_solves
        at = evaluation_of(model, policies if simultaneous else moved)
        objective, gap = problem.upper_objective(x, at, rng), penalty(model, at, best=best)
        gradient = upper_derivative(problem, x, objective, [term.scaled(weight) for term in gap.terms])
        if step is None:
            step = default_step(gradient)
        push = step(gradient) if callable(step) else step * gradient
        new_x = problem.project(x - push)
        alpha = _length(push) / _length(gradient) if callable(step) else step
        yield State(
            upper=x,
            lower=at.policies if len(at.policies) > 1 else at.policy,
            objective=objective.value,
            penalty=gap.value,
            penalized_objective=objective.value + weight * gap.value,
            hyper_objective=np.nan if gap.optimal is None else problem.upper_value(x, gap.optimal, rng),
            gradient_mapping=float(np.hypot(np.linalg.norm(x - new_x) / alpha, length)),
            oracle_residual=gap.residual,
            soft_solves=solves,
            penalty_weight=weight,
        )
        x, policies = new_x, moved


def _length(vector: Array) -> float:
    return max(float(np.linalg.norm(vector)), 1e-300)
