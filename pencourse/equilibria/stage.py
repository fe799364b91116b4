"""The games of one step: many small matrix games at once, with entropy or without.

In each state the players face Q (A, B) and look for

    val(Q) = max_p min_q p'Qq − τ h(p) + τ h(q),

which has a saddle point, because the objective is concave in p and convex in q. Any pair (p, q) brackets it,

    lower = −h*_τ(−Q'p) − τ h(p)  ≤  val(Q)  ≤  h*_τ(Qq) + τ h(q) = upper,

and upper − lower is what the two could gain by leaving the pair: 0 at the equilibrium, and nowhere else (lesson 12).
"""

import numpy as np

from ..regularizers import Regularizer
from ..typing import Array

NOISE = 1e-11  # what rounding leaves of a zero in a tableau whose entries are of order 1
LARGEST = 1e6  # a tableau with entries above it comes from a basis that is nearly singular
DANTZIG_PIVOTS, MOST_PIVOTS = 50, 2000
ARMIJO, MOST_HALVINGS = 1e-4, 60

Pair = tuple[Array, Array]


def stage_bounds(games: Array, policies: Pair, regularizer: Regularizer, temperature: float) -> Pair:
    """Return what player 2 holds player 1 down to, and what player 1 secures: upper and lower, (S,) each."""
    first, second = policies
    upper = regularizer.conjugate(np.matmul(games, second[:, :, None])[:, :, 0], temperature)
    lower = -regularizer.conjugate(-np.matmul(first[:, None, :], games)[:, 0, :], temperature)
    if temperature:
        upper = upper + temperature * regularizer.value(second)
        lower = lower - temperature * regularizer.value(first)
    return upper, lower


def matrix_games(games: Array, basis: np.ndarray | None = None) -> tuple[Array, Array, np.ndarray]:
    """Solve matrix games without regulariser by the simplex method, pivoting in all of them at once.

    With the payoffs scaled to M in [1, 2] the game is the linear program max Σy, My ≤ 1, y ≥ 0: its value is 1/Σy,
    q = y/Σy, and p is as much of the dual solution. It starts at the last basis, in the games where that is still
    feasible, and elsewhere at the slacks. The column of the steepest slope enters; after 50 pivots Bland's rule, which
    cannot cycle, takes over.

    Parameters
    ----------
    games : array (S, A, B)
        Player 1, who chooses the row, receives the entry.
    basis : array of int (S, A), optional
        From games close by.

    Returns
    -------
    first : array (S, A)
    second : array (S, B)
    basis : array of int (S, A)

    References
    ----------
    Dantzig, *A proof of the equivalence of the programming problem and the game problem* (1951); Bland, *New finite
    pivoting rules for the simplex method* (1977).
    """
    n_games, n_rows, n_columns = games.shape
    low, high = games.min(axis=(1, 2), keepdims=True), games.max(axis=(1, 2), keepdims=True)
    program = np.zeros((n_games, n_rows, n_columns + n_rows + 1))
    program[:, :, :n_columns] = 1.0 + (games - low) / np.where(high > low, high - low, 1.0)
    program[:, :, n_columns:-1] = np.eye(n_rows)
    program[:, :, -1] = 1.0
    slacks = np.broadcast_to(np.arange(n_columns, n_columns + n_rows), (n_games, n_rows))
    tableau, basis = _start(program, slacks if basis is None else basis, slacks)
    _pivot(tableau, basis)
    solution = np.zeros((n_games, n_columns + n_rows))
    np.put_along_axis(solution, basis, tableau[:, :-1, -1], axis=1)
    return _distributions(tableau[:, -1, n_columns:-1]), _distributions(solution[:, :n_columns]), basis


def _distributions(rows: Array) -> Array:
    rows = np.maximum(rows, 0.0)
    result: Array = rows / rows.sum(axis=1, keepdims=True)
    return result


def _start(program: Array, basis: np.ndarray, slacks: np.ndarray) -> tuple[Array, np.ndarray]:
    """Return the tableau at the basis, or at the slacks where that is not feasible; the last row holds the slopes."""
    n_columns = slacks[0, 0]
    body = program
    if basis is not slacks:
        try:
            body = np.linalg.solve(np.take_along_axis(program, basis[:, None, :], axis=2), program)
        except np.linalg.LinAlgError:
            basis = slacks
    good = (body[:, :, -1].min(axis=1) >= -NOISE) & (np.abs(body).max(axis=(1, 2)) <= LARGEST)
    body, basis = np.where(good[:, None, None], body, program), np.where(good[:, None], basis, slacks)
    slopes = np.matmul((basis < n_columns)[:, None, :].astype(np.float64), body)
    slopes[:, :, :n_columns] -= 1.0
    return np.concatenate([body, slopes], axis=1), basis


def _pivot(tableau: Array, basis: np.ndarray) -> None:
    """Pivot, in place, until no slope is negative."""
    left = np.arange(len(tableau))
    for count in range(MOST_PIVOTS):
        slopes = tableau[left, -1, :-1]
        falling = slopes < -NOISE
        more = falling.any(axis=1)
        if not more.any():
            return
        left, bland = left[more], count >= DANTZIG_PIVOTS
        entering = falling[more].argmax(axis=1) if bland else slopes[more].argmin(axis=1)
        part, each = tableau[left], np.arange(len(left))
        column = part[each, :, entering]
        ratio = np.full((len(left), basis.shape[1]), np.inf)
        np.divide(part[:, :-1, -1], column[:, :-1], out=ratio, where=column[:, :-1] > NOISE)
        tied = ratio <= ratio.min(axis=1, keepdims=True) + NOISE
        leaving = np.where(tied, basis[left] if bland else -column[:, :-1], np.inf).argmin(axis=1)
        row = part[each, leaving] / column[each, leaving][:, None]
        part -= column[:, :, None] * row[:, None, :]
        part[each, leaving] = row
        tableau[left], basis[left, leaving] = part, entering


def soft_step(games: Array, policies: Pair, upper: Array, temperature: float) -> Pair:
    """Take a Newton step of min_q F(q) = τ log Σ exp(Qq/τ) + τ Σ q log q, the entropy's stage game as player 2 sees it.

    The direction dq solves (Q'(diag p − pp')Q/τ + τ diag(1/q)) dq = β1 − Q'p − τ log q, Σdq = 0, p = softmax(Qq/τ); in
    q⁺ ∝ q exp(t dq/q) it keeps q positive, and without Q one step would do. F is convex, so that it falls along dq;
    t is halved until it does so by a part of what the slope promises (Armijo).

    Parameters
    ----------
    games : array (S, A, B)
    policies : arrays (S, A) and (S, B)
        p = softmax(Qq/τ), and q > 0.
    upper : array (S,)
        F(q).
    temperature : float
        τ > 0.

    Returns
    -------
    arrays (S, A) and (S, B)
        The next pair.
    """
    first, second = policies
    logs = np.log(second)
    slope = np.matmul(first[:, None, :], games)[:, 0, :] / temperature + logs
    slope -= np.vecdot(second, slope)[:, None]
    centred = _centred(games, first, second) / temperature
    weight = -np.linalg.solve(_curvature(centred, first, second), slope[:, :, None])[:, :, 0]
    promised = temperature * np.vecdot(second * weight, slope)
    size = np.ones(len(games))
    for _ in range(MOST_HALVINGS):
        moved = logs + size[:, None] * weight
        trial = np.maximum(np.exp(moved - moved.max(axis=1, keepdims=True)), 1e-300)
        trial /= trial.sum(axis=1, keepdims=True)
        payoff = np.matmul(games, trial[:, :, None])[:, :, 0] / temperature
        top = payoff.max(axis=1, keepdims=True)
        reply = np.exp(payoff - top)
        total = reply.sum(axis=1, keepdims=True)
        value = temperature * (top + np.log(total))[:, 0] + temperature * np.vecdot(trial, np.log(trial))
        short = value > upper + ARMIJO * size * promised + 4e-16 * np.abs(games).max(axis=(1, 2))
        if not short.any():
            break
        size = np.where(short, 0.5 * size, size)
    return reply / total, trial


def _centred(games: Array, first: Array, second: Array) -> Array:
    """Return (I − 1p')Q(I − q1'): steps that leave the sums of p and q alone see nothing else of Q."""
    centred = games - np.matmul(first[:, None, :], games)
    result: Array = centred - np.matmul(centred, second[:, :, None])
    return result


def _curvature(centred: Array, first: Array, second: Array) -> Array:
    """Return I + C'diag(p)C diag(q), C the centred games over τ: the Hessian of F in the unknowns dq/q, over τ."""
    result: Array = np.matmul(centred.transpose(0, 2, 1), first[:, :, None] * centred) * second[:, None, :]
    index = np.arange(second.shape[1])
    result[:, index, index] += 1.0
    return result


def stage_adjoint(policies: Pair, action_value: Array, slopes: Pair, temperature: float) -> Array:
    """Return how a function of the stage equilibria changes with the games: the adjoint of their response.

    With (p, q) the equilibrium of the games Q with entropy at τ > 0, the weights u satisfy, for every change dQ,
    Σ_s ⟨g₁(s), dp(s)⟩ + ⟨g₂(s), dq(s)⟩ = Σ_{s,a,b} u(s,a,b) dQ(s,a,b).

    The equilibrium is stationary: Qq − τ log p and Q'p + τ log q are constant in a row. With dp = p⊙w, dq = q⊙v, and
    C = (I − 1p')Q(I − q1'), which drops the constants, its change satisfies τw − C(q⊙v) = dQ q and
    τv + C'(p⊙w) = −dQ'p up to constants. The transposed system for (p⊙μ, q⊙ν) reads τμ + C(q⊙ν) = g₁,
    τν − C'(p⊙μ) = g₂, g centred, and u(a,b) = p(a)q(b)(μ(a) − ν(b)); no 1/p occurs, so small entries do no harm.

    Parameters
    ----------
    policies : arrays (S, A) and (S, B)
    action_value : array (S, A, B)
        Q.
    slopes : arrays (S, A) and (S, B)
        g₁ and g₂; a constant in a row changes nothing.
    temperature : float
        τ > 0.

    Returns
    -------
    array (S, A, B)
    """
    first, second = policies
    centred = _centred(action_value, first, second) / temperature
    slope1, slope2 = (
        (slope - np.vecdot(policy, slope)[:, None]) / temperature
        for policy, slope in zip(policies, slopes, strict=True)
    )
    right = slope2 + np.matmul((first * slope1)[:, None, :], centred)[:, 0, :]
    nu = np.linalg.solve(_curvature(centred, first, second), right[:, :, None])[:, :, 0]
    mu = slope1 - np.matmul(centred, (second * nu)[:, :, None])[:, :, 0]
    result: Array = first[:, :, None] * second[:, None, :] * (mu[:, :, None] - nu[:, None, :])
    return result
