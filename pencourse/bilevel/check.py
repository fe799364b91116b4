"""A check of a bilevel problem that somebody states: its derivatives against differences, its projection against X."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..evaluation import evaluation_of
from ..simplex import random_policy
from ..typing import Array
from .problem import BilevelProblem, CheckedProblem, Objective, Term, checked, upper_derivative

STEP = 1e-5  # of a central difference: error of order STEP² from the third derivative, 1e-16/STEP from rounding
ALLOWED = 1e-5


def check_problem(problem: BilevelProblem, rng: np.random.Generator, *, points: int = 3) -> Any:
    """Compare a problem's derivatives with central differences, and see that its projection is one.

    Four derivatives are tested at the middle of random segments that lie in X or on the simplex, along the segment:
    f in y, f in x at fixed y, and what `pull_back` makes of a random term in the lower level's reward alone and in
    reward and kernel. Then `project`: its result stays where it is when projected again, and makes an obtuse angle
    with the points of X. Where f is sampled, generators with one seed must give one f.

    Parameters
    ----------
    problem : BilevelProblem
    rng : numpy.random.Generator
    points : int
        Random segments tried.

    Returns
    -------
    pandas.DataFrame
        One row a check: the method, what was compared, the largest error relative to 1 + |derivative|, and what is
        allowed.

    Raises
    ------
    ValueError
        If a derivative or the projection is off, or an answer is not finite or has the wrong shape; the message names
        the method.
    """
    import pandas as pd

    safe = checked(problem)
    rows = [row for _ in range(points) for row in _compare(safe, rng)]
    table = pd.DataFrame(rows, columns=["method", "compared", "error"])
    table = table.groupby(["method", "compared"], as_index=False, sort=False).max()
    table["allowed"] = ALLOWED
    wrong = table[~(table["error"] <= ALLOWED)]
    if len(wrong):
        first = wrong.iloc[0]
        raise ValueError(
            f"{type(safe.problem).__name__}.{first['method']} is off: {first['compared']} differs by "
            f"{first['error']:.3g}; allowed is {ALLOWED:g}."
        )
    return table


Row = tuple[str, str, float]


def _compare(problem: CheckedProblem, rng: np.random.Generator) -> Iterator[Row]:
    one, other = _random_point(problem, rng), _random_point(problem, rng)
    x, direction = (one + other) / 2, other - one
    yield from _projection(problem, rng, [one, other, problem.initial_upper])
    model = problem.lower_model(x)
    counts = np.atleast_1d(model.n_actions)
    policies, turn = (
        tuple(0.5 * random_policy(rng, model.n_states, count) + 0.5 / count for count in counts) for _ in range(2)
    )
    directions = [there - here for there, here in zip(turn, policies, strict=True)]
    seed = int(rng.integers(2**31))

    mass, next_value = rng.normal(size=model.reward.shape), rng.normal(size=model.n_states)
    for what, ahead in (("the reward's part", np.zeros(model.n_states)), ("the kernel's part", next_value)):

        def form(z: Array, ahead: Array = ahead) -> float:
            shaped = problem.lower_model(z)
            return float((mass * (shaped.reward + shaped.discount * shaped.transition @ ahead)).sum())

        halves = [Term(0.5 * mass, ahead)] * 2  # an answer is the sum over the terms
        given = float((problem.pull_back(x, halves) * direction).sum())
        yield "pull_back", f"{what}, channel 'lower'", _error(form, x, direction, given)

    def objective(z: Array, y: Sequence[Array]) -> Objective:
        at = evaluation_of(problem.lower_model(z), tuple(y))
        return problem.upper_objective(z, at, np.random.default_rng(seed))

    here = objective(x, policies)
    for k, (slope, direction_y) in enumerate(zip(here.policy_gradients, directions, strict=True)):

        def moved(y: Array, k: int = k) -> float:
            return objective(x, [y if j == k else policy for j, policy in enumerate(policies)]).value

        what = "policy_gradient" if len(policies) == 1 else f"policy_gradient[{k}]"
        given = float((slope * direction_y).sum())
        yield "upper_objective", what, _error(moved, policies[k], direction_y, given)
    given = float((upper_derivative(problem, x, here) * direction).sum())
    error = _error(lambda z: objective(z, policies).value, x, direction, given)
    yield "upper_objective", "upper_gradient with its terms pulled back", error


def _random_point(problem: CheckedProblem, rng: np.random.Generator) -> Array:
    start = problem.initial_upper
    return problem.project(start + rng.normal(size=start.shape))


def _projection(problem: CheckedProblem, rng: np.random.Generator, points: Sequence[Array]) -> Iterator[Row]:
    """Test ⟨z − Proj z, w − Proj z⟩ ≤ 0 for w in X, which holds for the nearest point of a convex set and no other."""
    start = problem.initial_upper
    stays = float(np.abs(problem.project(start) - start).max(initial=0.0))
    yield "project", "initial_upper, which should stay where it is,", stays
    far = start + 3.0 * rng.normal(size=start.shape)
    near = problem.project(far)
    angle = max(float(((far - near) * (point - near)).sum()) for point in points)
    yield "project", "the nearest point of X", max(angle, 0.0) / (1.0 + float((far**2).sum()))


def _error(function: Callable[[Array], float], at: Array, direction: Array, given: float) -> float:
    ahead, behind = function(at + STEP * direction), function(at - STEP * direction)
    measured = (ahead - behind) / (2 * STEP)
    return abs(measured - given) / (1.0 + abs(measured))
