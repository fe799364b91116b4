"""The games of one step: many small matrix games at once, with entropy or without.

In each state the players face Q (A, B) and look for

    val(Q) = max_p min_q p'Qq − τ h(p) + τ h(q),

which has a saddle point, because the objective is concave in p and convex in q. Any pair (p, q) brackets it,

    lower = −h*_τ(−Q'p) − τ h(p)  ≤  val(Q)  ≤  h*_τ(Qq) + τ h(q) = upper,

and upper − lower is what the two could gain by leaving the pair: 0 at the equilibrium, and nowhere else (lesson 12).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..models import ConvergenceError
from ..regularizers import row_max
from ..typing import Array

SLOPE, NOISE = 1e-13, 1e-11  # how much below 0 a slope has to be, and what rounding leaves of other zeros
LARGEST = 1e6  # a tableau with entries above it comes from a basis that is nearly singular
DANTZIG_PIVOTS, MOST_PIVOTS = 50, 2000
# Where the errors' span is below SETTLED the bounds agree to its square: what is left is rounding.
MOST_STEPS, SETTLED, SMALLEST_STEP = 500, 1e-8, 1e-9

Pair = tuple[Array, Array]


def matrix_bounds(games: Array, policies: Pair) -> Pair:
    """Return the bounds without regulariser, upper and lower (S,)."""
    first, second = policies
    upper = row_max(np.matmul(games, second[:, :, None])[:, :, 0])
    return upper, -row_max(-np.matmul(first[:, None, :], games)[:, 0, :])


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
    result: Array = rows / (rows @ np.ones(rows.shape[1]))[:, None]
    return result


def _start(program: Array, basis: np.ndarray, slacks: np.ndarray) -> tuple[Array, np.ndarray]:
    """Return the tableau at the basis, or at the slacks where that is not feasible; the last row holds the slopes."""
    n_columns = slacks[0, 0]
    body: np.ndarray = program
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
        falling = slopes < -SLOPE
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


def entropy_games(
    games: Array, temperature: float, logs: Pair, enough: Callable[[Array, Array], bool]
) -> tuple[Pair, Pair]:
    """Solve stage games with entropy by Newton's method, in all of them at once.

    A pair is in equilibrium where e₁ = Qq/τ − log p and e₂ = −Q'p/τ − log q are constant in each row. Newton's step
    (w, v) of the logarithms solves these equations linearised in them: w − C(q⊙v) = e₁ and v + C'(p⊙w) = e₂ up to
    constants, C = Q/τ. They are regular everywhere, because ⟨p⊙w, ·⟩ + ⟨q⊙v, ·⟩ of the left sides is Σpw² + Σqv².
    Along the step e is (1 − t)e + O(t²) up to constants, so that its span falls for some t = 1, ½, ¼, …; a step at an
    unchanged temperature is halved until the span falls, or the gap between the bounds, which overlooks actions that
    are never played.

    A small τ is approached from above, as interior-point methods do: from the temperature of a quarter of e's span in
    units of reward, at which full steps are good, down by halves. The equations being regular, the equilibrium depends
    smoothly on the temperature; where one step does not lead close to it, the next level is taken half as far away.

    Parameters
    ----------
    games : array (S, A, B)
    temperature : float
        τ > 0.
    logs : arrays (S, A) and (S, B)
        log p and log q to start from.
    enough : callable
        Is told the bounds of val(Q), upper and lower, and says whether they are close enough.

    Returns
    -------
    policies, logs : tuples of arrays (S, A) and (S, B)

    Raises
    ------
    ConvergenceError
        If 500 steps are not enough.
    """
    now = _look(games, *map(np.array, logs))  # copies, to be written to
    span = _span(_errors(now, np.full(len(games), temperature)))
    level = temperature * np.maximum(0.25 * span, 1.0)
    reached, settled = level.copy(), SETTLED + 1e-15 * np.abs(games).max(axis=(1, 2)) / temperature
    for _ in range(MOST_STEPS):
        left = np.flatnonzero(span > settled)
        if enough(*_bounds(now, temperature)) or not len(left):
            return (now.first, now.second), (now.first_log, now.second_log)
        old, base = level[left], reached[left]
        close = old > 0.98 * base
        moved, after, gap = _newton(games[left], _Look(*(part[left] for part in now)), old, close)
        kept = close | (gap <= 1.0)
        for part, new in zip(now, moved, strict=True):
            part[left[kept]] = new[kept]
        reached[left] = np.where(kept, old, base)
        lower = np.where(gap <= 0.3, np.maximum(0.5 * old, temperature), old)
        level[left] = np.where(kept, lower, np.sqrt(old * base))
        span[left] = np.where(level[left] == old, after, np.inf)  # at another level it is not known yet
    raise ConvergenceError("entropy_games", float(span.max()), SETTLED, MOST_STEPS)


class _Look(NamedTuple):
    """Pairs of policies, and what each action earns its player against the other's policy."""

    first_log: Array
    second_log: Array
    first: Array
    second: Array
    first_earns: Array
    second_earns: Array


def _look(games: Array, first_log: Array, second_log: Array) -> _Look:
    first, second = np.exp(first_log), np.exp(second_log)
    earns = np.matmul(games, second[:, :, None])[:, :, 0], -np.matmul(first[:, None, :], games)[:, 0, :]
    return _Look(first_log, second_log, first, second, *earns)


def _bounds(now: _Look, temperature: float) -> Pair:
    """Return upper and lower."""
    best1, best2 = (_logsumexp(earns / temperature) for earns in (now.first_earns, now.second_earns))
    paid1, paid2 = np.vecdot(now.first, now.first_log), np.vecdot(now.second, now.second_log)
    return temperature * (best1 + paid2), -temperature * (best2 + paid1)


def _logsumexp(rows: Array) -> Array:
    top = row_max(rows)
    result: Array = top + np.log(np.exp(rows - top[:, None]) @ np.ones(rows.shape[1]))
    return result


def _errors(now: _Look, level: Array) -> Pair:
    """Return e₁ and e₂ at temperatures `level` (S,)."""
    cold = 1.0 / level[:, None]
    return now.first_earns * cold - now.first_log, now.second_earns * cold - now.second_log


def _span(errors: Pair) -> Array:
    result: Array = np.maximum(*(row_max(error) + row_max(-error) for error in errors))
    return result


def _newton(games: Array, now: _Look, level: Array, damped: np.ndarray) -> tuple[_Look, Array, Array]:
    """Take one step at temperatures `level`; return the new pairs and the span of their errors."""
    errors, policies = _errors(now, level), (now.first, now.second)
    step1, step2 = _respond(_centred(games, policies) / level[:, None, None], policies, errors)
    before, size = (_span(errors), _gap(now, level)), np.ones(len(games))
    while True:
        log1, log2 = now.first_log + size[:, None] * step1, now.second_log + size[:, None] * step2
        trial = _look(games, log1 - _logsumexp(log1)[:, None], log2 - _logsumexp(log2)[:, None])
        span, gap = _span(_errors(trial, level)), _gap(trial, level)
        less = 1.0 - 0.25 * size
        short = (
            damped & (span > less * before[0]) & (gap > less * before[1]) & (span > SETTLED) & (size > SMALLEST_STEP)
        )
        if not short.any():
            return trial, span, gap
        size = np.where(short, 0.5 * size, size)


def _gap(now: _Look, level: Array) -> Array:
    """Return (upper − lower)/level."""
    result = np.zeros(len(level))
    for u, log, error in zip(
        (now.first, now.second), (now.first_log, now.second_log), _errors(now, level), strict=True
    ):
        result += _logsumexp(log + error - np.vecdot(u, error)[:, None])
    return result


def _centred(games: Array, policies: Pair) -> Array:
    """Return (I − 1p')Q(I − q1'): steps that leave the sums of p and q alone see nothing else of Q."""
    centred = games - np.matmul(policies[0][:, None, :], games)
    result: Array = centred - np.matmul(centred, policies[1][:, :, None])
    return result


def _respond(centred: Array, policies: Pair, errors: Pair) -> Pair:
    """Solve w − C(q⊙v) = e₁, v + C'(p⊙w) = e₂ for w and v, with ⟨p,w⟩ = ⟨q,v⟩ = 0 and e up to constants in a row.

    With w eliminated the matrix is I + C'diag(p)C diag(q): no 1/p occurs, and small entries do no harm.
    """
    first, second = policies
    error1, error2 = (e - np.vecdot(u, e)[:, None] for e, u in zip(errors, policies, strict=True))
    weighted = (first[:, :, None] * centred).transpose(0, 2, 1)
    system = np.matmul(weighted, centred) * second[:, None, :]
    index = np.arange(second.shape[1])
    system[:, index, index] += 1.0
    v = np.linalg.solve(system, error2[:, :, None] - np.matmul(weighted, error1[:, :, None]))
    return error1 + np.matmul(centred, second[:, :, None] * v)[:, :, 0], v[:, :, 0]


def stage_adjoint(policies: Pair, action_value: Array, slopes: Pair, temperature: float) -> Array:
    """Return how a function of the stage equilibria changes with the games: the adjoint of their response.

    With (p, q) the equilibrium of the games Q with entropy at τ > 0, the weights u satisfy, for every change dQ,
    Σ_s ⟨g₁(s), dp(s)⟩ + ⟨g₂(s), dq(s)⟩ = Σ_{s,a,b} u(s,a,b) dQ(s,a,b).

    The equilibrium is stationary: Qq − τ log p and Q'p + τ log q are constant in a row. With dp = p⊙w, dq = q⊙v, and
    C = (I − 1p')Q(I − q1'), which drops the constants, its change satisfies τw − C(q⊙v) = dQ q and
    τv + C'(p⊙w) = −dQ'p up to constants. The transposed system, for p⊙μ and q⊙ν, is τμ + C(q⊙ν) = g₁ and
    τν − C'(p⊙μ) = g₂ up to constants, and u(a,b) = p(a)q(b)(μ(a) − ν(b)).

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
    mu, nu = _respond(-_centred(action_value, policies) / temperature, policies, slopes)
    both = policies[0][:, :, None] * policies[1][:, None, :] / temperature
    result: Array = both * (mu[:, :, None] - nu[:, None, :])
    return result
