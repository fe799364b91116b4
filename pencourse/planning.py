"""Optimal policies of an MDP, at any temperature τ ≥ 0.

The Bellman operator of the regularised problem (lessons 01 and 02),

    (TV)(s) = max_u {⟨u, Q_V(s,·)⟩ − τ h(u)},     Q_V = r + γ P V,

is monotone, satisfies T(V + c) = TV + γc, and so is a γ-contraction in the maximum norm; its fixed point is V*.
Three ways to it stand here. `value_iteration` applies T again and again. `policy_iteration` evaluates the
greedy policy, which is Newton's method on V = TV. `mirror_descent` moves the policy itself. The three are
iterators for teaching; `solve` combines the first two and is the fast one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count

import numpy as np

from .evaluation import Evaluation, backup, evaluate, evaluation_matrix
from .models import MDP, ConvergenceError
from .simplex import checked_policy, uniform_policy
from .typing import Array
from .validation import checked_array, checked_positive, refuse_other, refuse_where

# Two or three Newton steps finish what this many sweeps would, at the same cost (measured at 100 and 400 states).
MOST_SWEEPS_LEFT = 12
MAX_NEWTON_STEPS = 500


@dataclass(frozen=True, eq=False)
class Plan:
    """A policy with the values it was read from: what `solve` returns and what the iterators yield.

    Attributes
    ----------
    policy : array (S, A)
    value : array (S,)
        From `solve`: V*. From the iterators: the current V, which need not be the policy's own value.
    action_value : array (S, A)
        r + γPV for that V.
    expected_return : float
        ρᵀV.
    iterations : int
        Sweeps and Newton steps (or steps of the iterator) so far.
    residual : float
        ‖TV − V‖_∞ in units of reward, so ‖V − V*‖_∞ ≤ residual/(1−γ).
    """

    mdp: MDP
    policy: Array
    value: Array
    action_value: Array
    iterations: int
    residual: float

    @cached_property
    def expected_return(self) -> float:
        """ρᵀV."""
        return float(self.mdp.initial @ self.value)

    @cached_property
    def evaluation(self) -> Evaluation:
        """The evaluation of the policy: its own values, its occupancy, its factors."""
        return Evaluation(self.mdp, self.policy)


def optimality_operator(mdp: MDP, value: Array) -> Array:
    """Return TV, shape (S,): (TV)(s) = max_u {⟨u, r(s,·) + γP(s,·)V⟩ − τh(u)}."""
    return mdp.regularizer.conjugate(backup(mdp, value), mdp.temperature)


def greedy(mdp: MDP, action_value: Array) -> Array:
    """Return the policy (S, A) that attains max_u {⟨u, Q(s,·)⟩ − τh(u)} in every state; first action at ties."""
    return mdp.regularizer.maximizer(action_value, mdp.temperature)


def _plan(mdp: MDP, value: Array, iterations: int, *, policy: Array | None = None) -> Plan:
    """Describe V (and the policy given, or else the greedy one)."""
    action_value, change = _change(mdp, value)
    policy = greedy(mdp, action_value) if policy is None else policy
    return Plan(mdp, policy, value, action_value, iterations, float(np.abs(change).max()))


def _change(mdp: MDP, value: Array) -> tuple[Array, Array]:
    """Return Q_V and TV − V."""
    action_value = backup(mdp, value)
    return action_value, mdp.regularizer.conjugate(action_value, mdp.temperature) - value


def _start(mdp: MDP, initial_value: Array | None) -> Array:
    start = np.zeros(mdp.n_states) if initial_value is None else initial_value
    return checked_array("initial_value", start, (mdp.n_states,))


def value_iteration(mdp: MDP, initial_value: Array | None = None) -> Iterator[Plan]:
    """Yield V_0, V_1 = TV_0, V_2 = TV_1, … with their greedy policies, without end.

    The error contracts, ‖V_k − V*‖_∞ ≤ γᵏ ‖V_0 − V*‖_∞, and is bounded by residual/(1−γ) at each step.

    Parameters
    ----------
    mdp : MDP
    initial_value : array (S,), optional
        V_0; zero unless given.

    Yields
    ------
    Plan

    Raises
    ------
    ValueError
        If initial_value has the wrong shape or is not finite.
    """
    value = _start(mdp, initial_value)
    for iteration in count():
        yield _plan(mdp, value, iteration)
        value = optimality_operator(mdp, value)


def policy_iteration(mdp: MDP, initial_policy: Array | None = None) -> Iterator[Plan]:
    """Yield π_0, π_1, … with V^{π_k}, each policy greedy for the value of the one before, without end.

    With V_k = V^{π_k} this is Newton's method V ← V + (I − γP_π)⁻¹(TV − V), π greedy at V, on the equation
    V = TV. It increases V in every state, with factor γ or better, and for the entropy
    ‖V_{k+1} − V*‖_∞ ≤ γ²/(2τ(1−γ)) ‖V_k − V*‖²_∞ (lesson 02); at τ = 0 it ends after finitely many steps.

    Parameters
    ----------
    mdp : MDP
    initial_policy : array (S, A), optional
        π_0; uniform unless given.

    Yields
    ------
    Plan
        `.policy` is π_k and `.value` is V^{π_k}.

    Raises
    ------
    ValueError
        If initial_policy has the wrong shape or a row is no distribution.
    """
    policy = _start_policy(mdp, initial_policy)
    for iteration in count():
        plan = _plan(mdp, evaluate(mdp, policy).value, iteration, policy=policy)
        yield plan
        policy = greedy(mdp, plan.action_value)


def mirror_descent(mdp: MDP, step: float, initial_policy: Array | None = None) -> Iterator[Plan]:
    """Yield the policies of regularised policy mirror descent with the Kullback–Leibler divergence, without end.

    In every state π⁺ = argmax_u {η⟨u, Q^π − τ∇h(π)⟩ − KL(u‖π)}, that is π⁺ ∝ π exp(η(Q^π − τ∇h(π))); with the
    entropy π⁺ ∝ π^{1−ητ} exp(ηQ^π). For the entropy and 0 < η ≤ 1/τ, ‖Q* − Q^{π_k}‖_∞ falls by the factor
    1 − ητ(1−γ) (up to a constant); η = 1/τ is soft policy iteration; beyond ητ = 2 the optimum repels, and from a
    far start the iteration fails sooner (lesson 02; Cen, Cheng, Chen, Wei and Chi, *Fast global convergence of
    natural policy gradient methods with entropy regularization*, 2022, Theorem 1, whose η is 1 − γ times ours).

    Parameters
    ----------
    mdp : MDP
    step : float
        η > 0, in units of 1/reward.
    initial_policy : array (S, A), optional
        π_0; uniform unless given. With the entropy, actions of probability 0 stay at 0 for ητ < 1, return at
        ητ = 1, and are refused for ητ > 1.

    Yields
    ------
    Plan
        `.policy` is π_k and `.value` is V^{π_k}.

    Raises
    ------
    ValueError
        If step is not positive, or initial_policy is no policy.
    """
    step = checked_positive("step", step)
    policy = _start_policy(mdp, initial_policy)
    if step * mdp.temperature > 1 and mdp.regularizer.name == "entropy":  # π^{1−ητ} is infinite at 0
        refuse_where("initial_policy", policy, policy == 0, "a number above 0 where step * temperature > 1")
    with np.errstate(divide="ignore"):
        log_policy = np.log(policy)
    for iteration in count():
        plan = _plan(mdp, evaluate(mdp, policy).value, iteration, policy=policy)
        yield plan
        log_policy = _mirror_step(mdp, log_policy, policy, plan.action_value, step)
        policy = np.exp(log_policy)
        policy /= policy.sum(axis=1, keepdims=True)


def _mirror_step(mdp: MDP, log_policy: Array, policy: Array, action_value: Array, step: float) -> Array:
    """Return the log of the next policy; with the entropy ∇h is taken from the log, which cannot underflow."""
    shrink = step * mdp.temperature
    if mdp.regularizer.name == "entropy":
        kept = (1.0 - shrink) * log_policy if shrink != 1 else np.zeros_like(log_policy)
        new = kept + step * action_value
    else:
        new = log_policy + step * action_value - shrink * mdp.regularizer.gradient(policy)
    new = new - new.max(axis=1, keepdims=True)
    result: Array = new - np.log(np.exp(new).sum(axis=1, keepdims=True))
    return result


def _start_policy(mdp: MDP, initial_policy: Array | None) -> Array:
    shape = mdp.n_states, mdp.n_actions
    return uniform_policy(*shape) if initial_policy is None else checked_policy(initial_policy, *shape)


def solve(
    mdp: MDP, *, initial_value: Array | None = None, factors: Evaluation | None = None, tolerance: float = 1e-10
) -> Plan:
    """Find the optimal policy and its value.

    A few sweeps of T come first, each followed by the constant shift γ/(1−γ)·(max Δ + min Δ)/2, Δ = TV − V, the
    middle of MacQueen's bounds; where the span of Δ contracts fast (dense kernels) they finish the work. Otherwise
    Newton's method on V = TV (soft policy iteration) takes over: one linear solve a step, monotone from the first,
    finite at τ = 0, locally quadratic for the entropy.

    Parameters
    ----------
    mdp : MDP
    initial_value : array (S,), optional
        A warm start.
    factors : Evaluation, optional
        Of a close model's optimum: its I − γP_π serves as Newton's while each step divides the residual by ten.
    tolerance : float
        On ‖TV − V‖_∞ relative to `mdp.scale` = max|r| + τ max|h|.

    Returns
    -------
    Plan
        `.policy`, `.value`, `.action_value`, `.expected_return`, `.iterations`, `.residual`.

    Raises
    ------
    ConvergenceError
        If the tolerance is not reached; it carries the residual that was.
    ValueError
        If initial_value has the wrong shape or is not finite, or the tolerance is not positive.

    References
    ----------
    MacQueen, *A modified dynamic programming method for Markovian decision problems* (1966); Puterman, *Markov
    Decision Processes* (1994), sections 6.4 and 6.6; Geist, Scherrer and Pietquin (2019) for τ > 0.
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance is {tolerance!r}; allowed is a number above 0.")
    refuse_other("mdp", mdp, MDP)
    target = tolerance * mdp.scale
    value, steps, sweeps = _start(mdp, initial_value), 0, 0
    if factors is not None:
        value, action_value, change, steps = _borrow(mdp, value, factors, target)
    if factors is None or not float(np.abs(change).max()) <= target:
        value, action_value, change, sweeps = _sweep(mdp, value, target)
    while (residual := float(np.abs(change).max())) > target and steps < MAX_NEWTON_STEPS:
        value = value + _newton_step(mdp, greedy(mdp, action_value), change)
        (action_value, change), steps = _change(mdp, value), steps + 1
    if not residual <= target:
        raise ConvergenceError("solve", residual, target, sweeps + steps)
    return Plan(mdp, greedy(mdp, action_value), value, action_value, sweeps + steps, residual)


def _borrow(mdp: MDP, value: Array, factors: Evaluation, target: float) -> tuple[Array, Array, Array, int]:
    """Take steps V ← V + M⁻¹(TV − V), M another model's I − γP_π; return V, its Q, TV − V and the number of steps."""
    last, steps = np.inf, 0
    while True:
        action_value, change = _change(mdp, value)
        residual = float(np.abs(change).max())
        if not target < residual < last / 10:
            return value, action_value, change, steps
        value, last, steps = value + factors.solve(change), residual, steps + 1


def _sweep(mdp: MDP, value: Array, target: float) -> tuple[Array, Array, Array, int]:
    """Sweep while sweeps are cheaper than Newton steps; return V, its Q, TV − V and the number of sweeps."""
    last_span, sweep = np.inf, 0
    while True:
        action_value, change = _change(mdp, value)
        high, low = float(change.max()), float(change.min())
        residual, span = max(high, -low), high - low
        if residual <= target or (sweep > 1 and _sweeps_left(span, last_span, target) > MOST_SWEEPS_LEFT):
            return value, action_value, change, sweep
        value = value + change + mdp.discount / (1.0 - mdp.discount) * 0.5 * (high + low)
        last_span, sweep = span, sweep + 1


def _sweeps_left(span: float, last_span: float, target: float) -> float:
    """Predict how many sweeps bring the span of TV − V below the target, from the factor by which it just fell."""
    return float(np.log(target / span) / np.log(span / last_span)) if 0 < span < last_span else np.inf


def _newton_step(mdp: MDP, policy: Array, change: Array) -> Array:
    """Return (I − γP_π)⁻¹ (TV − V), π greedy at V: added to V it gives V^π, since TV = r_π − τh(π) + γP_πV."""
    return np.asarray(np.linalg.solve(evaluation_matrix(mdp, policy), change), dtype=np.float64)
