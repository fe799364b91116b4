"""The maximum-likelihood reward of Bradley and Terry's model, from a convex program and its dual (lesson 11).

Pair i has the difference of features δ_i and the label q_i, 1 if its first segment was preferred, and
P(label = 1) = σ(⟨δ_i, θ⟩). The least mean negative log-likelihood is, with z_i = ⟨δ_i, θ⟩,

    primal   min_θ (1/N) Σ_i [log(1 + e^{z_i}) − q_i z_i]     s.t.  −b ≤ θ ≤ b.

Since log(1 + eᶻ) = max_{0 ≤ u ≤ 1} {uz + H(u)}, H(u) = −u log u − (1−u) log(1−u), and the minimum over the box of a
linear form ⟨g, θ⟩ is −b‖g‖₁,

    dual     max_u (1/N) Σ_i H(u_i) − (b/N) ‖Σ_i (u_i − q_i) δ_i‖₁     s.t.  0 ≤ u ≤ 1,

without a bound: max_u (1/N) Σ_i H(u_i) s.t. Σ_i (u_i − q_i) δ_i = 0, the labels of maximum entropy among those that
leave the chosen features' sum as it was seen. Weak duality: loss ≥ optimum ≥ dual.

cvxpy's θ is good to about 1e-4; scipy's L-BFGS-B goes on from there. At the optimum u_i = σ(z_i), so this u gives the
dual value. It bounds the optimum from below whether or not the solvers did their work: the gap is the judge of both.

References: Bradley and Terry, *Rank analysis of incomplete block designs* (1952); Albert and Anderson, *On the
existence of maximum likelihood estimates in logistic regression models* (1984), for separable data.
"""

from dataclasses import dataclass

import cvxpy as cp
import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import entr, expit

from ..models import ConvergenceError
from ..typing import Array
from .solver import solve_program

NAME = "exact.fit_reward"


@dataclass(frozen=True, eq=False)
class RewardFit:
    """What the two programs found.

    Attributes
    ----------
    parameters : array (d,)
        θ. Directions in which no pair differs leave the loss as it is: of all optimal θ this is the one of least norm.
    loss : float
        The primal value at θ: the mean cross-entropy, in natural logarithms.
    dual : float
        The dual value; the least loss lies between, up to the solver's tolerance.
    identified : int
        The rank of the differences: how many directions of θ the pairs say something about, d at most.
    program : str
        The cone and the solver's name.
    """

    parameters: Array
    loss: float
    dual: float
    identified: int
    program: str = "exponential cone, CLARABEL"

    @property
    def primal(self) -> float:
        """The loss."""
        return self.loss

    @property
    def gap(self) -> float:
        """loss − dual."""
        return self.loss - self.dual


def fit_reward(differences: ArrayLike, labels: ArrayLike, bound: float | None = None) -> RewardFit:
    """Fit a linear reward to preferences.

    Parameters
    ----------
    differences : array (N, d)
        δ_i: the features of the first segment less those of the second.
    labels : array (N,)
        q_i from 0 to 1: 1 where the first was preferred; a share of people, or an expected label, may be in between.
    bound : float, optional
        b > 0, of each |θ_k|.

    Returns
    -------
    RewardFit

    Raises
    ------
    ValueError
        If an argument has the wrong shape or is out of its range. If there is no bound and a direction of θ orders
        pairs with labels 0 and 1 without a mistake: the loss then falls for ever along it and has no minimiser.
    ConvergenceError
        If the solver finds no optimum, or primal and dual differ by more than 1e-7, with a bound times
        1 + max_i b‖δ_i‖₁, a unit of log-odds.
    """
    delta, q = _checked("differences", differences, 2), _checked("labels", labels, 1)
    if len(q) != len(delta):
        raise ValueError(f"labels has shape {q.shape}; allowed is ({len(delta)},), one for each of the differences.")
    if (bad := np.flatnonzero((q < 0) | (q > 1))).size:
        raise ValueError(f"labels[{bad[0]}] is {q[bad[0]]}; allowed is a number from 0 to 1.")
    if bound is None:
        refuse_separable(delta, q)
    elif not 0 < bound < np.inf:
        raise ValueError(f"bound is {bound!r}; allowed is a finite number above 0, or None.")
    theta = _least_norm(delta, _minimiser(delta, q, bound), bound)
    loss, dual = _values(delta, q, theta, bound)
    allowed = 1e-7 * (1.0 + (bound or 0.0) * float(np.abs(delta).sum(axis=1).max()))
    if not abs(loss - dual) <= allowed:
        raise ConvergenceError(f"{NAME} (exponential cone, CLARABEL)", abs(loss - dual), allowed, 1)
    return RewardFit(theta, loss, dual, int(np.linalg.matrix_rank(delta)))


def refuse_separable(differences: Array, labels: Array) -> None:
    """Raise ValueError if the loss has no minimiser without a bound.

    It has none iff some direction v has ⟨δ_i, v⟩ ≥ 0 where q_i = 1, ≤ 0 where q_i = 0, = 0 in between, and not 0
    throughout. A linear program looks for one; the largest |⟨δ_i, v⟩| scaled to 1, its optimum is 0 or at least 1.
    """
    side = np.select([labels == 1, labels == 0], [1.0, -1.0])  # 0 for labels in between
    direction = cp.Variable(differences.shape[1])
    margin = cp.multiply(np.where(side == 0, 1.0, side), differences @ direction)
    limits = [margin >= 0, margin <= np.abs(side)]
    if solve_program(cp.Problem(cp.Maximize(cp.sum(margin)), limits), cp.HIGHS, NAME) > 0.5:
        ordered = np.flatnonzero(np.asarray(margin.value) > 1e-6)
        raise ValueError(
            f"labels are separable: a direction of θ orders {ordered.size} of {len(labels)} pairs as labelled (pair "
            f"{ordered[0]} is one) and contradicts none, so the loss falls for ever along it; allowed are labels that "
            "contradict each other along every direction, or a bound. Give a bound, or more pairs."
        )


def _checked(name: str, values: ArrayLike, dimensions: int) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != dimensions or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; allowed are {dimensions} axes of length 1 or more.")
    if (bad := np.argwhere(~np.isfinite(array))).size:
        raise ValueError(f"{name}{bad[0].tolist()} is {array[tuple(bad[0])]}; allowed is a finite number.")
    return array


def _minimiser(delta: Array, q: Array, bound: float | None) -> Array:
    variable = cp.Variable(delta.shape[1])
    z = delta @ variable
    limits = [] if bound is None else [cp.abs(variable) <= bound]
    solve_program(cp.Problem(cp.Minimize((cp.sum(cp.logistic(z)) - q @ z) / len(q)), limits), cp.CLARABEL, NAME)
    limit = np.inf if bound is None else bound

    def loss(theta: Array) -> tuple[float, Array]:
        z = delta @ theta
        return float(np.sum(np.logaddexp(0.0, z) - q * z)), delta.T @ (expit(z) - q)

    start, box = np.clip(variable.value, -limit, limit), [(-limit, limit)] * len(variable.value)
    precise = {"ftol": 0.0, "gtol": 1e-12, "maxiter": 1000, "maxcor": 50}
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=box, options=precise).x)


def _least_norm(delta: Array, theta: Array, bound: float | None) -> Array:
    """Return the θ of least norm in the box with the same differences of reward."""
    _, sizes, rows = np.linalg.svd(delta, full_matrices=False)
    seen = rows[sizes > sizes[0] * max(delta.shape) * np.finfo(float).eps]  # the directions that the pairs identify
    least: Array = seen.T @ (seen @ theta)
    if bound is None:
        return least
    if np.abs(least).max() > bound and len(seen) < len(theta):
        other = cp.Variable(len(theta))
        limits = [seen @ other == seen @ theta, cp.abs(other) <= bound]
        solve_program(cp.Problem(cp.Minimize(cp.sum_squares(other)), limits), cp.CLARABEL, NAME)
        least = np.asarray(other.value)
    return np.clip(least, -bound, bound)


def _values(delta: Array, q: Array, theta: Array, bound: float | None) -> tuple[float, float]:
    """Return the loss at θ and the dual value at u = σ(z), without a bound at the nearest u that is feasible."""
    z = delta @ theta
    u, excess = expit(z), 0.0
    if bound is None:
        u = np.clip(u - delta @ np.linalg.lstsq(delta.T @ delta, delta.T @ (u - q), rcond=1e-12)[0], 0.0, 1.0)
    else:
        excess = bound / len(q) * float(np.abs(delta.T @ (u - q)).sum())
    return float(np.mean(np.logaddexp(0.0, z) - q * z)), float(np.mean(entr(u) + entr(1 - u)) - excess)
