"""PBRL: the two runners that put oracle, step and loop together."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice, repeat

import numpy as np

from ..bilevel import (
    BilevelProblem,
    Run,
    checked,
    record,
)
from ..cases import stated
from ..evaluation import checked_policies, evaluation_of, uniform_policies
from ..models import StackelbergGame, ZeroSumGame
from ..penalties import bellman_penalty, nikaido_isoda, value_penalty
from ..typing import Array
from ..validation import checked_count, checked_number, checked_positive
from .loop import StepRule, pbrl_states
from .steps import (
    ExactStep,
    MakePenalty,
    MirrorDescentOracle,
    MirrorStep,
    Move,
    NewtonOracle,
    Oracle,
    ProjectedStep,
    ResponseOracle,
)

PENALTIES: dict[str, MakePenalty] = {
    "value": value_penalty,
    "bellman": bellman_penalty,
    "nikaido_isoda": nikaido_isoda,
}


def _levels(last: float, first: float, length: int) -> Iterator[float]:
    """Yield numbers that run geometrically from `first` to `last` in `length` steps and stay there, without end."""
    run = np.geomspace(first, last, length, endpoint=False).tolist()
    return chain(run, repeat(last))


def pbrl(
    problem: BilevelProblem | StackelbergGame,
    *,
    penalty: str | None = None,
    penalty_weight: float = 20.0,
    iterations: int = 300,
    step: float | None = None,
    update: str = "mirror",
    policy_step: float | None = None,
    policy_floor: float = 1e-6,
    oracle_steps: int | None = None,
    oracle_step: float = 1.0,
    continuation: float = 0.5,
    initial_weight: float | None = None,
    initial_temperature: float | None = None,
    simultaneous: bool = False,
    start: Array | None = None,
    initial_policy: Array | tuple[Array, Array] | None = None,
    tolerance: float = 0.0,
    rng: np.random.Generator | None = None,
    progress: bool = False,
) -> Run:
    """Descend F_λ(x, y) = f(x, y) + λ p(x, y), p the value, the Bellman or the Nikaido–Isoda penalty.

    Parameters
    ----------
    problem : BilevelProblem or StackelbergGame
        With τ > 0.
    penalty : str, optional
        "value" (if none is named) or "bellman" for an MDP below; for a zero-sum game "nikaido_isoda", y is a pair then.
    penalty_weight : float
        λ > 0, the last one if there is continuation.
    iterations : int
        Steps at most.
    step : float, optional
        α, the step in x. Unless given, the one that first moves the coordinate of x that is pushed most by 0.3; in a
        game 4τ/(λ max d), d the visits under uniform policies, for an x in units of reward: in r the curvature of λψ is
        of order λd/τ. That suits the entropy; with the squared norm both steps have to be several times smaller.
    update : str
        "mirror": a step along −η ∇_{y_s}F_λ / (λ τ w(s)), w the penalty's weights, in the geometry of the regulariser
        (entropy: y ∝ y exp(step)); or "projection": y ← Proj[y − (η/λ) ∇_y F_λ] onto rows with entries at least
        `policy_floor`.
    policy_step : float
        η. In the mirror step η = 1 is a step of policy iteration, and taken unless another is given; in a game 0.3,
        because ψ bends more than the regulariser does: the opponent's answer moves too. Near an equilibrium that mixes
        well at a small τ it has to be less (lesson 13).
    policy_floor : float
        See `update`; the entropy's slope is infinite at 0.
    oracle_steps : int, optional
        Mirror-descent steps of the oracle in each iteration; solved to the end (Newton) unless given.
    oracle_step : float
        Size of these steps in units of 1/τ; at 1 they are policy iteration.
    continuation : float
        Share of the iterations in which λ runs from `initial_weight` to `penalty_weight`, and τ from
        `initial_temperature` to the problem's own, geometrically. 0 keeps both constant.
    initial_weight, initial_temperature : float, optional
        Where continuation starts: λ/4 and 3τ unless given; their last values keep them constant.
    simultaneous : bool
        Move x by what holds at the policy before its step, as in the paper's algorithm. In a game this takes two soft
        solves an iteration, otherwise four.
    start, initial_policy : array, optional
        x and y; `initial_upper` and the oracle's policy there unless given; in a game uniform policies.
    tolerance : float
        Stop once the gradient mapping is at or below it, but not before continuation has ended.
    rng : numpy.random.Generator, optional
        Passed on to the problem.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Run
        `.upper`, `.lower` (in a game a pair), `.objective`, `.penalty` and `.history`.

    Raises
    ------
    ValueError
        If τ = 0, an argument is out of its range, or the problem's answers are bad.
    ConvergenceError
        If the exact oracle does not reach its tolerance.

    References
    ----------
    Shen, Yang and Chen, *Principled Penalty-based Methods for Bilevel Reinforcement Learning and RLHF* (2025), the
    PBRL algorithm. The order and the scaling of the steps and the continuation are the course's.
    """
    safe = checked(stated(problem))
    own = safe.lower_model(safe.initial_upper)
    allowed = ("nikaido_isoda",) if isinstance(own, ZeroSumGame) else ("value", "bellman")
    penalty = allowed[0] if penalty is None else penalty
    if penalty not in allowed:
        below = f"with {'a zero-sum game' if isinstance(own, ZeroSumGame) else 'an MDP'} below"
        raise ValueError(f"penalty is {penalty!r}; allowed {below} is {' or '.join(map(repr, allowed))}.")
    usual = 0.3 if isinstance(own, ZeroSumGame) else 1.0
    kind, size = PENALTIES[penalty], usual if policy_step is None else checked_positive("policy_step", policy_step)
    moves: dict[str, Move] = {
        "mirror": MirrorStep(safe, kind, size, rng),
        "projection": ProjectedStep(safe, kind, size, rng, policy_floor),
    }
    if update not in moves:
        raise ValueError(f"update is {update!r}; allowed is 'mirror' or 'projection'.")
    make: Callable[[], Oracle] = NewtonOracle
    if oracle_steps is not None:
        steps = checked_count("oracle_steps", oracle_steps, 1)
        make = partial(MirrorDescentOracle, steps, checked_positive("oracle_step", oracle_step))
    share = checked_number("continuation", continuation, 0.0, 1.0, allowed="a number from 0 to 1")
    length = int(share * iterations)
    weight = checked_positive("penalty_weight", penalty_weight)
    first = weight / 4 if initial_weight is None else min(checked_positive("initial_weight", initial_weight), weight)
    warm = 3 * own.temperature
    if initial_temperature is not None:
        warm = checked_positive("initial_temperature", initial_temperature)
    warmer = _levels(own.temperature, warm, length) if own.temperature > 0 else repeat(0.0)
    temperatures: Iterator[float | None] = chain(islice(warmer, length), repeat(None))
    if step is None and isinstance(own, ZeroSumGame):
        visits = evaluation_of(own, uniform_policies(own)).occupancy.max()
        step = max(4 * own.temperature / (weight * float(visits)), 1e-300)
    policies = None if initial_policy is None else checked_policies(own, initial_policy)
    states = pbrl_states(
        safe,
        oracle=ResponseOracle(make) if isinstance(own, ZeroSumGame) else make(),
        move=moves[update],
        penalty=kind,
        weights=_levels(weight, first, length),
        temperatures=temperatures,
        step=None if step is None else checked_positive("step", step),
        start=start,
        policies=policies,
        simultaneous=simultaneous,
        rng=rng,
    )
    return record(states, iterations, tolerance=tolerance, earliest=length, progress=progress)


def pbrl_partial(
    problem: BilevelProblem | StackelbergGame,
    *,
    penalty_weight: float = 100.0,
    iterations: int = 150,
    step: float | StepRule | None = None,
    continuation: float = 0.0,
    initial_weight: float | None = None,
    start: Array | None = None,
    tolerance: float = 0.0,
    progress: bool = False,
) -> Run:
    """Descend φ_λ(x) = min_y F_λ(x, y), the value penalty's inner minimum solved exactly: two soft solves a step.

    If f = −V_l(ρ) + c(x), V_l a return without regulariser in the dynamics of the lower level, then
    F_λ(x, y) = c(x) + λ [V*_r(ρ) − V^y_{r + r_l/λ}(ρ)], so the minimising y is the optimal policy for the reward
    r + r_l/λ, and ∇φ_λ = ∇_x F_λ there by Danskin's theorem (lesson 07).

    Parameters
    ----------
    problem : BilevelProblem or StackelbergGame
        With τ > 0 and a method `upper_reward(x)` that returns r_l, shape (S, A).
    penalty_weight, iterations, step, continuation, initial_weight, start, tolerance, progress
        As in `pbrl`; here λ is constant unless continuation is asked for, and the step may be a function that turns the
        gradient, shaped like x, into the displacement that is subtracted from x.

    Returns
    -------
    Run
        `.lower` minimises F_λ at the last x.

    Raises
    ------
    ValueError
        As in `pbrl`; if the problem has no `upper_reward`, or f is not minus a return under it.
    ConvergenceError
        If a lower-level solve does not reach its tolerance.
    """
    safe = checked(stated(problem))
    safe.lower_mdp(safe.initial_upper)  # in a game no policy alone minimises F_λ
    share = checked_number("continuation", continuation, 0.0, 1.0, allowed="a number from 0 to 1")
    weight = checked_positive("penalty_weight", penalty_weight)
    first = weight / 4 if initial_weight is None else min(checked_positive("initial_weight", initial_weight), weight)
    length = int(share * iterations)
    states = pbrl_states(
        safe,
        oracle=NewtonOracle(),
        move=ExactStep(safe),
        penalty=value_penalty,
        weights=_levels(weight, first, length),
        temperatures=repeat(None),
        step=step if step is None or callable(step) else checked_positive("step", step),
        start=start,
    )
    return record(states, iterations, tolerance=tolerance, earliest=length, progress=progress)
