"""Descent along a hypergradient that is estimated: tracked over the iterations, or sampled.

The exact hypergradient is ∂f/∂x + Σ m [dr + γ dP V*] with u = D ∂f/∂y, D the derivative of the maximiser at Q*, and

    m = u + z ⊙ π*,     z = γ Σ_{s,a} (u + z ⊙ π*)(s,a) P(·|s,a)                      (lesson 06).

Both methods below put something cheaper for V*, π* and m; the rest is the same.
"""

import numpy as np

from ..bilevel import BilevelProblem, CheckedProblem, Run, Term, checked, record, refuse_unregularised, upper_derivative
from ..cases import stated
from ..evaluation import Evaluation, backup
from ..models import MDP, StackelbergGame
from ..planning import Plan, greedy, solve
from ..sampling import roll_out, tally
from ..typing import Array
from ..validation import checked_count
from .hypergradient import Hypergradient, descend


def _at(problem: CheckedProblem, x: Array, plan: Plan, at: Evaluation) -> tuple[Hypergradient, Array]:
    """Return f at the plan's policy, its gradient yet to come, and the weights u."""
    model, objective = plan.mdp, problem.upper_objective(x, at, None)
    weights = model.regularizer.maximizer_derivative(plan.policy, objective.policy_gradient, model.temperature)
    return Hypergradient(objective.value, np.zeros(0), objective, plan), weights


def _finished(problem: CheckedProblem, x: Array, found: Hypergradient, mass: Array) -> Hypergradient:
    gradient = upper_derivative(problem, x, found.objective, [Term(mass, found.best.value)])
    return Hypergradient(found.value, gradient, found.objective, found.best)


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

    In each iteration V ← TV and z ← γ Σ (u + z ⊙ π) P, a few times, from where the last iteration left them: both maps
    contract by γ, so the errors follow x with a lag of about 1/(1−γ) sweeps, and α has to be small against that. No
    linear system is solved for the gradient (f itself is still evaluated at the policy of the moment).

    Parameters
    ----------
    problem : BilevelProblem or StackelbergGame
        With an MDP below and τ > 0.
    iterations, step, start, progress
        As in `hypergradient_descent`.
    sweeps : int
        Of V and of z in each iteration; each counts as a soft solve.

    Returns
    -------
    Run
        `hyper_objective` and `penalty` are NaN: f is found at the policy of the moment only.

    Raises
    ------
    ValueError
        If τ = 0, the lower level is a game, an argument is out of its range, or the problem's answers are bad.

    References
    ----------
    Yang, Gao and Yuan, *Bilevel reinforcement learning via the development of hyper-gradient without lower-level
    convexity* (2025), whose M-SoBiRL tracks so; the exact evaluation of f is the course's simplification.
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
        found, weights = _at(problem, x, plan, plan.evaluation)
        kernel = model.transition.reshape(-1, model.n_states)
        for _ in range(sweeps):
            mass = weights + later[:, None] * plan.policy
            later = model.discount * (mass.reshape(-1) @ kernel)
        return _finished(problem, x, found, weights + later[:, None] * plan.policy), sweeps

    return record(descend(problem, tracked, step=step, start=start, exact=False), iterations, progress=progress)


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
    drawn like |u|, c = ‖u‖₁ sign u(s_0, a_0), and H the random end of `roll_out`: n of them estimate it without bias.
    The error of the gradient falls like 1/√n, and does not fall with the iterations.

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

    Raises
    ------
    ValueError
        As in `sobirl`.
    ConvergenceError
        If the lower level is not solved.

    References
    ----------
    Thoma, Pásztor, Krause, Ramponi and Hu, *Contextual bilevel reinforcement learning for incentive alignment* (2024):
    hyper policy gradient descent; here f and V* are exact, and only the response is sampled.
    """
    problem, n = checked(stated(problem)), checked_count("n", n, 1)
    problem.lower_mdp(problem.initial_upper)
    value: Array | None = None

    def sampled(x: Array) -> tuple[Hypergradient, int]:
        nonlocal value
        model = _regularised(problem, x)
        plan = solve(model, initial_value=value)
        value = plan.value
        found, weights = _at(problem, x, plan, plan.evaluation)
        size = np.abs(weights)
        total = float(size.sum())
        mass = np.zeros_like(weights)
        if total > 0:
            cells = rng.choice(size.size, n, p=size.ravel() / total)
            begin, act = np.divmod(cells, model.n_actions)
            segments = roll_out(model, plan.policy, n, rng, start=begin, first_action=act)
            sign = np.sign(weights[begin, act])[:, None]
            mass = tally(segments, np.broadcast_to(sign * total / n, segments.states.shape), *weights.shape)
        return _finished(problem, x, found, mass), 1

    return record(descend(problem, sampled, step=step, start=start), iterations, progress=progress)


def _regularised(problem: CheckedProblem, x: Array) -> MDP:
    model = problem.lower_mdp(x)
    refuse_unregularised(model)
    return model
