"""Optimal values of an MDP from a pair of convex programs (lesson 01 for τ = 0, lesson 02 for τ > 0).

Primal, over values. V* is the least V with V ≥ TV, so it minimises any positive weighting of the states:

    min Σ_s c(s) V(s)   s.t.   V(s) ≥ max_u {⟨u, q(s,·)⟩ − τh(u)},   q = r + γPV,   c > 0,

where the right side is q(s,a) for every a (τ = 0: a linear program), τ log Σ exp(q/τ) (entropy: exponential cone),
or, with the squared norm, min {ν + (τ/2) Σ_a w_a² : τw_a ≥ q(s,a) − ν, w ≥ 0} (second-order cone; w is the policy's row
and ν the multiplier of Σ_a w_a = 1).

Dual, over occupancies μ(s,a) ≥ 0 with m(s) = Σ_a μ(s,a):

    max Σ μ r − τ Σ_s m(s) h(μ(s,·)/m(s))   s.t.   m(s′) = ρ(s′) + γ Σ μ(s,a) P(s′|s,a),

where m h(μ/m) is Σ_a μ log(μ/m) (`rel_entr`) or Σ_a μ²/(2m) (`quad_over_lin`). Weak duality: primal ≥ V*(ρ) ≥ dual.

References: Puterman (1994), section 6.9, for τ = 0; Neu, Jonsson and Gómez, *A unified view of entropy-regularized
Markov decision processes* (2017), for the entropy.
"""

from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from ..models import MDP, ConvergenceError
from ..typing import Array
from .solver import solve_program


@dataclass(frozen=True, eq=False)
class ExactPlan:
    """What the two programs found.

    Attributes
    ----------
    value : array (S,)
        V*, from the primal program.
    policy : array (S, A)
        π(a|s) = μ(s,a)/m(s), from the dual program. Uniform in states that the optimal occupancy never visits,
        about which the dual program says nothing (none if ρ > 0).
    occupancy : array (S,)
        m, discounted and not normalised; from the dual program.
    program : str
        "linear", "exponential cone" or "second-order cone", and the solver's name.
    primal, dual : float
        ρᵀV of the primal program and the optimum of the dual one; V*(ρ) lies between, up to the solver's tolerance.
    """

    value: Array
    policy: Array
    occupancy: Array
    program: str
    primal: float
    dual: float

    @property
    def expected_return(self) -> float:
        """V*(ρ), read from the primal program."""
        return self.primal

    @property
    def gap(self) -> float:
        """primal − dual."""
        return self.primal - self.dual


def solve_mdp(mdp: MDP) -> ExactPlan:
    """Solve an MDP by its primal and dual programs.

    Parameters
    ----------
    mdp : MDP
        With no regulariser, the entropy or the squared norm, at any τ ≥ 0.

    Returns
    -------
    ExactPlan
        Values relative to `max|r|`/(1−γ) are good to about 1e-8, policies to about 1e-4 (τ > 0).

    Raises
    ------
    ConvergenceError
        If the solver reports anything but an optimum, or primal and dual differ by more than 1e-6 of
        max(max|r|, τ)/(1−γ). Conic solvers give up where τ is below about 1e-6 max|r|.
    ValueError
        If the regulariser is none that a program is written for.
    """
    kind = "none" if mdp.temperature == 0 else mdp.regularizer.name
    if kind not in _PROGRAMS:
        raise ValueError(f"regularizer is {kind!r}; allowed are {sorted(_PROGRAMS)}.")
    name, solver = _PROGRAMS[kind]
    # Solvers like rewards of size 1; values scale with them.
    scale = max(float(np.abs(mdp.reward).max()), mdp.temperature) or 1.0
    reward, temperature = mdp.reward / scale, mdp.temperature / scale
    value = _primal(mdp, reward, temperature, kind, solver)
    occupancy, dual = _dual(mdp, reward, temperature, kind, solver)
    primal = float(mdp.initial @ value)
    gap, allowed = abs(primal - dual), 1e-6 / (1 - mdp.discount)
    if gap > allowed:
        raise ConvergenceError(f"exact.solve_mdp ({name}, {solver})", gap * scale, allowed * scale, 1)
    mass = occupancy.sum(axis=1)
    visited = mass > 1e-9
    policy = np.where(visited[:, None], occupancy, 1.0)
    policy = policy / policy.sum(axis=1, keepdims=True)
    return ExactPlan(scale * value, policy, mass, f"{name}, {solver}", scale * primal, scale * dual)


_PROGRAMS = {
    "none": ("linear", cp.HIGHS),
    "entropy": ("exponential cone", cp.CLARABEL),
    "squared_norm": ("second-order cone", cp.CLARABEL),
}


def _kernel(mdp: MDP) -> sp.csr_array:
    """Return P as a sparse matrix (S·A, S), rows ordered by state, then action."""
    return sp.csr_array(mdp.transition.reshape(-1, mdp.transition.shape[2]))


def _primal(mdp: MDP, reward: Array, temperature: float, kind: str, solver: str) -> Array:
    n_states, n_actions = reward.shape
    value = cp.Variable(n_states)
    q = cp.reshape(reward.ravel() + mdp.discount * (_kernel(mdp) @ value), (n_states, n_actions), order="C")
    if kind == "none":
        constraints = [cp.reshape(value, (n_states, 1), order="C") @ np.ones((1, n_actions)) >= q]
    elif kind == "entropy":
        constraints = [value >= temperature * cp.log_sum_exp(q / temperature, axis=1)]
    else:
        level = cp.Variable(n_states)
        row = cp.Variable((n_states, n_actions), nonneg=True)
        above = q - cp.reshape(level, (n_states, 1), order="C") @ np.ones((1, n_actions))
        cost = temperature / 2 * cp.sum(cp.square(row), axis=1)
        constraints = [temperature * row >= above, value >= level + cost]
    weights = mdp.initial + 1.0 / n_states  # positive, so that V* is found in every state
    solve_program(cp.Problem(cp.Minimize(weights @ value), constraints), solver, "exact.solve_mdp")
    return np.asarray(value.value)


def _dual(mdp: MDP, reward: Array, temperature: float, kind: str, solver: str) -> tuple[Array, float]:
    n_states, n_actions = reward.shape
    occupancy = cp.Variable((n_states, n_actions), nonneg=True)
    mass = cp.sum(occupancy, axis=1)
    inflow = mdp.initial + mdp.discount * (_kernel(mdp).T @ cp.reshape(occupancy, (n_states * n_actions,), order="C"))
    objective = cp.sum(cp.multiply(reward, occupancy))
    if kind == "entropy":
        spread = cp.reshape(mass, (n_states, 1), order="C") @ np.ones((1, n_actions))
        objective = objective - temperature * cp.sum(cp.rel_entr(occupancy, spread))
    elif kind == "squared_norm":
        rows = [cp.quad_over_lin(occupancy[s], mass[s]) for s in range(n_states)]
        objective = objective - temperature / 2 * cp.sum(cp.hstack(rows))
    dual = solve_program(cp.Problem(cp.Maximize(objective), [mass == inflow]), solver, "exact.solve_mdp")
    return np.maximum(np.asarray(occupancy.value), 0.0), dual
