"""Meta-gradient: differentiate through one learning step of the lower level's players."""

from collections.abc import Iterator

import numpy as np

from ..bilevel import (
    NEVER,
    BilevelProblem,
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
from ..evaluation import checked_policies, evaluation_of, uniform_policies
from ..models import StackelbergGame
from ..regularizers import centered
from ..simplex import SMALLEST, exponentiated
from ..typing import Array
from ..validation import checked_positive

SIGNS = (1.0, -1.0)  # player 1 maximises, player 2 minimises


def meta_gradient_states(
    problem: BilevelProblem | StackelbergGame,
    *,
    step: float | None,
    policy_step: float,
    start: Array | None,
    initial_policy: Array | tuple[Array, Array] | None,
    rng: np.random.Generator | None,
) -> Iterator[State]:
    """Yield the states of the meta-gradient method, without end; parameters as in `meta_gradient`."""
    problem = checked(stated(problem))
    x = problem.begin(start)
    policies = None
    if initial_policy is not None:
        given = checked_policies(problem.lower_model(x), initial_policy)
        policies = tuple(np.maximum(policy, SMALLEST) for policy in given)  # it needs a logarithm
    solves = 0
    while True:
        model = problem.lower_model(x)
        refuse_unregularised(model)
        if policies is None:
            policies = uniform_policies(model)
        at, size = evaluation_of(model, policies), policy_step / model.temperature
        learned = []
        for policy, gain, sign in zip(policies, at.marginal(at.action_value), SIGNS, strict=False):
            push = sign * gain - model.temperature * model.regularizer.gradient(policy)
            learned.append(exponentiated(policy, size * push))
        after = evaluation_of(model, tuple(learned))
        objective = problem.upper_objective(x, after, rng)
        # What f owes to the change of the players' Q: each learns from its own, the other's policy held fixed.
        pushed = [
            sign * size * centered(policy, slope)
            for policy, slope, sign in zip(learned, objective.policy_gradients, SIGNS, strict=False)
        ]
        weights = pushed[0]
        if len(pushed) == 2:
            weights = pushed[0][:, :, None] * policies[1][:, None, :] + policies[0][:, :, None] * pushed[1][:, None, :]
        response = Term(at.action_value_adjoint(weights), at.value)
        gradient = upper_derivative(problem, x, objective, [response])
        step = default_step(gradient) if step is None else step
        new_x = problem.project(x - step * gradient)
        solves += 2
        yield State(
            upper=x,
            lower=after.policies if len(learned) > 1 else after.policy,
            objective=objective.value,
            penalty=np.nan,
            gradient_mapping=float(np.linalg.norm(x - new_x)) / step,
            soft_solves=solves,
        )
        x, policies = new_x, after.policies


def meta_gradient(
    problem: BilevelProblem | StackelbergGame,
    *,
    iterations: int = 300,
    step: float | None = None,
    policy_step: float = 0.1,
    start: Array | None = None,
    initial_policy: Array | tuple[Array, Array] | None = None,
    rng: np.random.Generator | None = None,
    progress: bool = False,
) -> Run:
    """Let the players learn one step at a time, and move x along the derivative of f through that one step.

    In each iteration the players' policies π take a mirror step along their own gradients at x,
    π₁⁺ ∝ π₁ exp(η(Q₁ − τ∇h(π₁))) and π₂⁺ ∝ π₂ exp(η(−Q₂ − τ∇h(π₂))), where Q₁(s,a) = Σ_b π₂(b|s) Q(s,a,b) and
    Q₂ likewise. Then x ← Proj_X[x − α d/dx f(x, π⁺(x))], π held fixed: dπ₁⁺ = η π₁⁺ ⊙ (dQ₁ − ⟨π₁⁺, dQ₁⟩), and dQ by the
    adjoint of evaluation. What x changes in the players' later steps is not seen (lesson 13). Where the lower level is
    an MDP, there is one player.

    Parameters
    ----------
    problem : BilevelProblem or StackelbergGame
        With τ > 0.
    iterations : int
        Steps at most.
    step : float, optional
        α. Unless given, the one that first moves the coordinate of x that is pushed most by 0.3.
    policy_step : float
        η in units of 1/τ. In a game simultaneous steps near 1 may circle.
    start, initial_policy : array, optional
        x and π; `initial_upper` and uniform policies unless given.
    rng : numpy.random.Generator, optional
        Passed on to the problem.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Run
        `.lower` is π⁺. The evaluation of π and that of π⁺ count as two soft solves. `penalty` is NaN: not computed.

    Raises
    ------
    ValueError
        If τ = 0, an argument is out of its range, or the problem's answers are bad.

    References
    ----------
    Yang, Wang, Trivedi, Zhao and Zha, *Adaptive incentive design with multi-agent meta-gradient reinforcement learning*
    (2022), whose players take sampled policy-gradient steps on networks.
    """
    step = None if step is None else checked_positive("step", step)
    states = meta_gradient_states(
        problem,
        step=step,
        policy_step=checked_positive("policy_step", policy_step),
        start=start,
        initial_policy=initial_policy,
        rng=rng,
    )
    return record(states, iterations, tolerance=NEVER, progress=progress)
