"""Descent along a hypergradient that is estimated: tracked over the iterations, or sampled.

The exact hypergradient is ∂f/∂x + Σ m [dr + γ dP V*] with u = D ∂f/∂y, D the derivative of the maximiser at Q*, and

    m = u + z ⊙ π*,     z = γ Σ_{s,a} (u + z ⊙ π*)(s,a) P(·|s,a)                      (lesson 06).

The methods below put something cheaper for m, the tracked one for V* and π* too; f and its slopes are exact at the
policy in hand. An estimate of 0 may turn into something else in the next iteration, so it does not end a run.
"""

import numpy as np

from ..bilevel import (
    NEVER,
    BilevelProblem,
    CheckedProblem,
    Objective,
    Run,
    Term,
    checked,
    record,
    refuse_unregularised,
    upper_derivative,
)
from ..cases import stated
from ..evaluation import backup
from ..models import MDP, StackelbergGame
from ..planning import Plan, greedy, solve
from ..sampling import roll_out, tally
from ..typing import Array
from ..validation import checked_count
from .hypergradient import Hypergradient, descend, response_weights


def _at(problem: CheckedProblem, x: Array, plan: Plan) -> tuple[Objective, Array]:
    """Return f at the plan's policy and the weights u = D ∂f/∂y, shape (S, A)."""
    objective = problem.upper_objective(x, plan.evaluation, None)
    return objective, response_weights(plan, objective)


def _finished(problem: CheckedProblem, x: Array, objective: Objective, plan: Plan, mass: Array) -> Hypergradient:
    gradient = upper_derivative(problem, x, objective, [Term(mass, plan.value)])
    return Hypergradient(objective.value, gradient, objective, plan)


def sobirl(
    problem: BilevelProblem | StackelbergGame,
    *,
    iterations: int = 300,
    step: float | None = None,
    sweeps: int = 1,
    start: Array | None = None,
    progress: bool = False,
) -> Run:
    """Descend along a hypergradient whose two fixed points, V* and z, are tracked and not solved.

    In each iteration V ← TV, π ← greedy at V, u ← D ∂f/∂y at π, and z ← γ Σ (u + z ⊙ π) P, a few times, from where the
    last iteration left V and z. Both maps contract by γ, so the errors follow x with a lag of about 1/(1−γ) sweeps, and
    α has to be small against that. Where x comes to rest the errors vanish. The response takes no linear solve; f and
    its slopes in y still do, at the policy of the moment.

    Parameters
    ----------
    problem : BilevelProblem or StackelbergGame
        With an MDP below and τ > 0.
    iterations, step, start, progress
        As in `hypergradient_descent`; but the first estimate, made from V = 0 and z = 0, says little about a step: give
        one.
    sweeps : int
        Of V and of z in each iteration; one of both counts as a soft solve.

    Returns
    -------
    Run
        `.objective` is f at the policy of the moment; `hyper_objective` and `penalty` are NaN. `oracle_residual` is
        what the last sweep changed in V; γ/(1−γ) times it bounds ‖V − V*‖_∞.

    Raises
    ------
    ValueError
        If τ = 0, the lower level is a game, an argument is out of its range, or the problem's answers are bad.

    References
    ----------
    Yang, Gao and Yuan, *Bilevel reinforcement learning via the development of hyper-gradient without lower-level
    convexity* (2025), whose M-SoBiRL tracks so. The form of the adjoint and the exact evaluation of f are the course's.
    """
    problem, sweeps = checked(stated(problem)), checked_count("sweeps", sweeps, 1)
    value = later = np.zeros(problem.lower_mdp(problem.initial_upper).n_states)

    def tracked(x: Array) -> tuple[Hypergradient, int]:
        nonlocal value, later
        model = _regularised(problem, x)
        for _ in range(sweeps):
            last, value = value, model.regularizer.conjugate(backup(model, value), model.temperature)
        action_value = backup(model, value)
        residual = float(np.abs(value - last).max())
        plan = Plan(model, greedy(model, action_value), value, action_value, sweeps, residual)
        objective, weights = _at(problem, x, plan)
        kernel = model.transition.reshape(-1, model.n_states)
        for _ in range(sweeps):
            mass = weights + later[:, None] * plan.policy
            later = model.discount * (mass.reshape(-1) @ kernel)
        return _finished(problem, x, objective, plan, weights + later[:, None] * plan.policy), sweeps

    states = descend(problem, tracked, step=step, start=start, exact=False)
    return record(states, iterations, tolerance=NEVER, progress=progress)


def hpgd(
    problem: BilevelProblem | StackelbergGame,
    *,
    rng: np.random.Generator,
    iterations: int = 300,
    step: float | None = None,
    n: int = 100,
    start: Array | None = None,
    progress: bool = False,
) -> Run:
    """Descend along a hypergradient whose response is sampled from the lower level's own behaviour.

    The lower level is solved, and shows its policy and roll-outs of it. m = E Σ_{t ≤ H} c 1[(s_t, a_t)] with (s_0, a_0)
    drawn like |u|, c = ‖u‖₁ sign u(s_0, a_0), later actions from π*, and H the random end of `roll_out`: n of them
    estimate it without bias. The error of the gradient falls like 1/√n, and does not fall with the iterations.

    Parameters
    ----------
    problem : BilevelProblem or StackelbergGame
        With an MDP below and τ > 0.
    rng : numpy.random.Generator
    iterations, step, start, progress
        As in `hypergradient_descent`.
    n : int
        Roll-outs in each iteration.

    Returns
    -------
    Run
        A solve counts as one soft solve, the roll-outs as none.

    Raises
    ------
    ValueError
        As in `sobirl`.
    ConvergenceError
        If the lower level is not solved.

    References
    ----------
    Thoma, Pásztor, Krause, Ramponi and Hu, *Contextual bilevel reinforcement learning for incentive alignment* (2024):
    hyper policy gradient descent. Here π*, f and V* are exact and only the response is sampled; there they are not, and
    x may meet a random context.
    """
    problem, n = checked(stated(problem)), checked_count("n", n, 1)
    problem.lower_mdp(problem.initial_upper)
    value: Array | None = None

    def sampled(x: Array) -> tuple[Hypergradient, int]:
        nonlocal value
        model = _regularised(problem, x)
        plan = solve(model, initial_value=value)
        value = plan.value
        objective, weights = _at(problem, x, plan)
        size = np.abs(weights)
        total = float(size.sum())
        mass = np.zeros_like(weights)
        if total > 0:
            cells = rng.choice(size.size, n, p=size.ravel() / total)
            begin, act = np.divmod(cells, model.n_actions)
            segments = roll_out(model, plan.policy, n, rng, start=begin, first_action=act)
            sign = np.sign(weights[begin, act])[:, None]
            mass = tally(segments, np.broadcast_to(sign * total / n, segments.states.shape), *weights.shape)
        return _finished(problem, x, objective, plan, mass), 1

    states = descend(problem, sampled, step=step, start=start)
    return record(states, iterations, tolerance=NEVER, progress=progress)


def _regularised(problem: CheckedProblem, x: Array) -> MDP:
    model = problem.lower_mdp(x)
    refuse_unregularised(model)
    return model
