"""Problem set 12: games that stop, what one step tells of ψ, two players who do not share one return.

Each `Task` is called with the student's function, and with a seed for other instances.
"""

from collections.abc import Callable, Iterator
from functools import partial
from math import comb

import numpy as np
from scipy.special import entr, softmax

from ..models import MDP
from ..planning import solve
from ..simplex import random_policy
from ..typing import Array
from ..worlds import random_mdp
from . import Instance, Mistake, Task

# Task 1: games that stop. Arguments: P (S, 2, 2, S), rows sum to less than 1 where the game may stop, r (S, 2, 2).

Stage = Callable[[Array], tuple[Array, Array, Array]]  # tables Q (S, 2, 2) → values, π₁(0|s), π₂(0|s)
LONGEST = 600


def _secured(table: Array) -> tuple[Array, Array]:
    """Return what the row player secures in each table (S, 2, 2), and its weight of row 0.

    The worse of the two columns is concave and piecewise linear in the weight, so one of the ends, or the weight at
    which both columns pay the same, is best.
    """
    ahead = table[:, 0] - table[:, 1]  # of row 0, by column
    bent = ahead[:, 0] - ahead[:, 1]
    tie = np.divide(table[:, 1, 1] - table[:, 1, 0], bent, out=np.zeros(len(table)), where=bent != 0)
    weight = np.stack([np.zeros_like(tie), np.ones_like(tie), np.clip(tie, 0.0, 1.0)], axis=1)
    worst = (table[:, None, 1] + weight[:, :, None] * ahead[:, None]).min(axis=2)
    best = worst.argmax(axis=1)[:, None]
    return np.take_along_axis(worst, best, axis=1)[:, 0], np.take_along_axis(weight, best, axis=1)[:, 0]


def _saddle(table: Array) -> tuple[Array, Array, Array]:
    """Return value and weights of the first actions of a saddle point in each table."""
    value, first = _secured(table)
    return value, first, _secured(-np.swapaxes(table, 1, 2))[1]


def _backup(P: Array, r: Array, value: Array) -> Array:
    result: Array = r + P @ value
    return result


def _fixed_point(P: Array, r: Array, stage: Stage = _saddle) -> Array:
    """Repeat V ← val(r + PV) from 0 until it stands still; the result holds V and both weights, (S, 3)."""
    value = np.zeros(len(r))
    with np.errstate(all="ignore"):  # wrong formulas may divide by 0, or grow without end
        for _ in range(LONGEST):
            table = _backup(P, r, value)
            before, value = value, _secured(table)[0] if stage is _saddle else stage(table)[0]
            if not np.abs(value - before).max() > 1e-12 * np.abs(value).max():
                break
        return np.column_stack([value, *stage(_backup(P, r, value))[1:]])


def _lasting(P: Array, r: Array, first: Array, second: Array) -> Array:
    """Return the values of two policies, given by their weights of action 0."""
    one, two = (np.stack([weight, 1 - weight], axis=1) for weight in (first, second))
    kernel = np.einsum("sa,sb,sabt->st", one, two, P)
    result: Array = np.linalg.solve(np.eye(len(r)) - kernel, np.einsum("sa,sb,sab->s", one, two, r))
    return result


def _mixed(table: Array, *, value: str = "formula", cut: bool = False) -> tuple[Array, Array, Array]:
    """Return what the formulas of a mixed equilibrium give in every table, saddle point or not."""
    (a, b), (c, d) = table[:, 0].T, table[:, 1].T
    bottom = a + d - b - c
    with np.errstate(all="ignore"):
        first, second = (d - c) / bottom, (d - b) / bottom
        level = (a * d - b * c) / bottom
    if cut:
        first, second = np.clip(first, 0, 1), np.clip(second, 0, 1)
    if value == "mean":
        level = second * (first * a + (1 - first) * c) + (1 - second) * (first * b + (1 - first) * d)
    return level, first, second


CUT = (partial(_mixed, value="mean", cut=True), partial(_mixed, cut=True))


def _pure(table: Array, *, who: int) -> tuple[Array, Array, Array]:
    """Return what single actions secure, to player 1 or to player 2."""
    low, high = table.min(axis=2), table.max(axis=1)
    first, second = 1.0 - low.argmax(axis=1), 1.0 - high.argmin(axis=1)
    return (low.max(axis=1) if who == 1 else high.min(axis=1)), first, second


def _turned(table: Array) -> tuple[Array, Array, Array]:
    """Let player 1 minimise."""
    value, first, second = _saddle(-table)
    return -value, first, second


def _own_indifference(table: Array) -> tuple[Array, Array, Array]:
    """Let each player, where both mix, take the weight that makes itself indifferent."""
    value, first, second = _saddle(table)
    inside = (first > 0) & (first < 1)
    return value, np.where(inside, second, first), np.where(inside, first, second)


def _solution(P: Array, r: Array) -> Array:
    """Give the rows of the moment their lasting value, which arrives fast or never; then repeat V ← val(r + PV)."""
    found = _jumping(P, r, 20)
    return found if np.abs(_saddle(_backup(P, r, found[:, 0]))[0] - found[:, 0]).max() < 1e-13 else _fixed_point(P, r)


def _stage_of_rewards(P: Array, r: Array) -> Array:
    _, first, second = _saddle(r)
    return np.column_stack([_lasting(P, r, first, second), first, second])


def _one_move(P: Array, r: Array) -> Array:
    return np.column_stack(_saddle(r))


def _one_chance_of_stopping(P: Array, r: Array) -> Array:
    """Let the game go on with the same probability whatever is played."""
    goes_on = P.sum(axis=3, keepdims=True)
    where = np.divide(P, goes_on, out=np.zeros(P.shape), where=goes_on > 0)
    return _fixed_point(goes_on.mean() * where, r)


def _jumping(P: Array, r: Array, times: int = 50) -> Array:
    """Give the present rows their lasting value, and solve the stage games there, again and again."""
    value = np.zeros(len(r))
    for _ in range(times):
        before, value = value, _lasting(P, r, *_saddle(_backup(P, r, value))[1:])
        if np.abs(value - before).max() <= 1e-14 * np.abs(value).max():
            break
    return np.column_stack([value, *_saddle(_backup(P, r, value))[1:]])


def _goes_round(found: Array, P: Array, r: Array) -> bool:
    """Tell whether the values are those of the rows that are found, or of those that led to them."""
    right = _solution(P, r)
    if _near(found[:, 0], right[:, 0]):
        return _near(found, right)
    one, two = found[:, 1], found[:, 2]
    if ((found[:, 1:] < 0) | (found[:, 1:] > 1)).any():
        return False
    next_value = _lasting(P, r, *_saddle(_backup(P, r, found[:, 0]))[1:])
    after = _lasting(P, r, *_saddle(_backup(P, r, next_value))[1:])
    return _near(found[:, 0], _lasting(P, r, one, two)) or _near(found[:, 0], after)


def _too_short(found: Array, P: Array, r: Array) -> bool:
    """Tell whether the values are one of those on the way from 0, or of the way's last piece."""
    value = np.zeros(len(r))
    for _ in range(LONGEST):
        table = _backup(P, r, value)
        now, first, second = _saddle(table)
        if any(_near(found, np.column_stack([kept, first, second])) for kept in (value, now)):
            return True
        if np.abs(now - value).max() <= 1e-12 * np.abs(now).max():
            return False
        value = now
    return False


def _recognise(stage: Stage) -> Callable[[Array, Array, Array], bool]:
    """Return what recognises a wrong formula for stage games; where it never comes to rest, anything may come out."""

    def recognises(found: Array, P: Array, r: Array) -> bool:
        settled = _fixed_point(P, r, stage)
        return not _at_rest(settled, P, r, stage) or _near(found, settled)

    return recognises


def _at_rest(settled: Array, P: Array, r: Array, stage: Stage) -> bool:
    """Tell whether the iteration with a formula for stage games has arrived at a fixed point."""
    return bool(np.isfinite(settled).all()) and _near(settled, np.column_stack(stage(_backup(P, r, settled[:, 0]))))


def _near(found: Array, computed: Array) -> bool:
    return bool(np.abs(found - computed).max() <= 1e-6 * np.abs(computed).max())


def _dresher(n_periods: int) -> tuple[Array, Array]:
    """Return Dresher's inspection game (1962), a state for each (periods, inspections left) with 0 < m < n."""
    states = [(n, m) for n in range(2, n_periods + 1) for m in range(1, n)]
    P, r = np.zeros((len(states), 2, 2, len(states))), np.zeros((len(states), 2, 2))
    for s, (n, m) in enumerate(states):
        r[s] = [[1.0, 0.0], [-1.0, 0.0]]  # rows: inspect or not; columns: violate or not; a violation ends the game
        for action, left in ((0, m - 1), (1, m)):
            if (n - 1, left) in states:
                P[s, action, 1, states.index((n - 1, left))] = 1.0
            elif left == 0:
                r[s, action, 1] = -1.0  # a violation that nobody can see is to come
    return P, r


def _dresher_value(n: int, m: int) -> float:
    """Return the printed value, −C(n−1, m) / Σ_{i ≤ m} C(n, i)."""
    return -comb(n - 1, m) / sum(comb(n, i) for i in range(m + 1))


def _is_clear(P: Array, r: Array, saddles: str) -> bool:
    """Tell whether the equilibrium is unique by a margin, and holds as many saddle points as wanted."""
    solution = _solution(P, r)
    table = _backup(P, r, solution[:, 0])
    pure = np.isin(solution[:, 1], (0.0, 1.0))
    inside = np.minimum(solution[:, 1:], 1 - solution[:, 1:]).min(axis=1)
    s, a, b = np.arange(len(r)), (solution[:, 1] < 0.5).astype(int), (solution[:, 2] < 0.5).astype(int)
    margin = np.minimum(table[s, a, b] - table[s, 1 - a, b], table[s, a, 1 - b] - table[s, a, b])
    if not np.where(pure, margin > 0.02, inside > 0.02).all():
        return False
    return bool({"none": not pure.any(), "some": pure.any() and not pure.all(), "all": pure.all()}[saddles])


def _tells_mixtures_apart(P: Array, r: Array) -> bool:
    """Tell whether mixing everywhere comes to rest, with weights cut off or not, but not at the solution."""
    right = _solution(P, r)
    for stage in (_mixed, *CUT):
        found = _fixed_point(P, r, stage)
        if not _at_rest(found, P, r, stage) or _near(found, right):
            return False
    return True


def _stopping(rng: np.random.Generator, n_states: int, longest: float, least: float = 0.4) -> Array:
    """Draw a kernel whose game goes on with probability up to `longest`, depending on what is played."""
    moves = random_mdp(rng, n_states, 4, 0.5, branching=2).transition.reshape(n_states, 2, 2, n_states)
    goes_on = rng.uniform(least * longest, longest, size=(n_states, 2, 2))
    result: Array = goes_on[..., None] * moves
    return result


def _draw_stopping(rng: np.random.Generator) -> Iterator[Instance]:
    def drawn(n_states: int, longest: float, saddles: str, least: float = 0.4) -> tuple[Array, Array]:
        while True:
            P, r = _stopping(rng, n_states, longest, least), rng.normal(size=(n_states, 2, 2))
            if saddles == "none":
                r += 2 * rng.choice([-1, 1], size=(n_states, 1, 1)) * np.array([[1, -1], [-1, 1]])
            if _is_clear(P, r, saddles) and not _near(_stage_of_rewards(P, r), _solution(P, r)):
                if saddles != "some" or _tells_mixtures_apart(P, r):
                    return P, r

    yield Instance("a game in which all mix", drawn(4, 0.85, "none"))
    yield Instance("a game with saddle points in some states", drawn(5, 0.7, "some"))
    yield Instance("a long game with saddle points everywhere", drawn(3, 0.95, "all", 0.97))
    yield Instance("Dresher's inspection game", _dresher(int(rng.integers(4, 6))))
    # What a player's action adds, and where it leads, does not depend on the other's: a + d = b + c in every state.
    while True:
        one, two = rng.normal(size=(2, 4, 2))
        P = np.repeat(_stopping(rng, 4, 0.8)[:, :, :1], 2, axis=2)
        r = one[:, :, None] + two[:, None]
        if _is_clear(P, r, "all"):
            break
    yield Instance("a game whose rewards add up", (P, r))
    size = rng.uniform(0.5, 2.0)
    P, r = np.array([[[[0.75], [0.25]], [[0.75], [0.75]]]]), size * np.array([[[3.0, 6.0], [2.0, 1.0]]])
    yield Instance("a game of one state, with rewards between 1 and 12", (P, r))


stopping_game = Task(
    _solution,
    _draw_stopping,
    (
        Mistake(
            "Your players mix in every state, although a stage game may have a saddle point.",
            partial(_fixed_point, stage=_mixed),
            _recognise(_mixed),
        ),
        *(
            Mistake(
                "Your weights are those of a mixed equilibrium, cut off at 0 and 1; that finds the right action at a"
                " saddle point only by luck.",
                partial(_fixed_point, stage=stage),
                _recognise(stage),
            )
            for stage in CUT
        ),
        *(
            Mistake(
                "Your players commit to single actions; where there is no saddle point they have to mix.",
                partial(_fixed_point, stage=partial(_pure, who=who)),
            )
            for who in (1, 2)
        ),
        Mistake("Your player 1 minimises and your player 2 maximises.", partial(_fixed_point, stage=_turned)),
        Mistake("Your columns of policies are exchanged.", lambda P, r: _solution(P, r)[:, [0, 2, 1]]),
        Mistake(
            "Your policies hold the probabilities of action 1.",
            lambda P, r: [0.0, 1.0, 1.0] + [1.0, -1.0, -1.0] * _solution(P, r),
        ),
        Mistake(
            "Your players mix so that each is indifferent itself; it is the other one whom a mixture makes"
            " indifferent.",
            partial(_fixed_point, stage=_own_indifference),
        ),
        Mistake(
            "Your players play the equilibrium of today's rewards; what they do also decides whether and where the"
            " game goes on.",
            _stage_of_rewards,
        ),
        Mistake("Your values count one move only.", _one_move),
        Mistake(
            "Your game goes on with one probability, whatever is played; here that depends on state and actions.",
            _one_chance_of_stopping,
        ),
        Mistake(
            "Your iteration gives the rows of the moment their lasting value, and so it may go round in circles.",
            _jumping,
            _goes_round,
        ),
        Mistake(
            "Your iteration stops before it has arrived.",
            lambda P, r: np.column_stack(_saddle(_backup(P, r, _after(P, r, 12)))),
            _too_short,
        ),
    ),
)


def _after(P: Array, r: Array, sweeps: int) -> Array:
    """Return the values after a number of sweeps from 0."""
    value = np.zeros(len(r))
    for _ in range(sweeps):
        value = _saddle(_backup(P, r, value))[0]
    return value


# Task 2: what one step tells. Arguments: P (S, A, B, S), r (S, A, B), γ, ρ, τ, π₁ (S, A), π₂ (S, B).


def _charge(tau: float, rows: Array) -> Array:
    """Return τh of each row, the negative entropy."""
    result: Array = -tau * entr(rows).sum(axis=-1)
    return result


def _pair_value(P: Array, r: Array, g: float, tau: float, one: Array, two: Array) -> Array:
    """Return V (S,) of r − τh(π₁) + τh(π₂)."""
    gain = np.einsum("sa,sb,sab->s", one, two, r) - _charge(tau, one) + _charge(tau, two)
    kernel = np.einsum("sa,sb,sabt->st", one, two, P)
    result: Array = np.linalg.solve(np.eye(len(gain)) - g * kernel, gain)
    return result


def _best_row(ahead: Array, tau: float) -> Array:
    """Return max over u of ⟨u, ahead⟩ − τh(u) in each state, at its maximiser."""
    if tau == 0:
        return np.asarray(ahead.max(axis=1))
    rows = softmax(ahead / tau, axis=1)
    result: Array = (rows * ahead).sum(axis=1) - _charge(tau, rows)
    return result


def _step_gains(
    P: Array,
    r: Array,
    g: float,
    tau: float,
    one: Array,
    two: Array,
    *,
    single: bool = False,
    other_pays: bool = True,
    both_maximise: bool = False,
) -> Array:
    """Return what each player gains by one deviation, (2, S), perhaps with one thing changed."""
    V = _pair_value(P, r, g, tau, one, two)
    Q = r + g * P @ V
    paid = (_charge(tau, two), _charge(tau, one)) if other_pays else (0 * V, 0 * V)
    own = 0.0 if single else tau
    first = _best_row(np.einsum("sab,sb->sa", Q, two), own) + paid[0] - V
    sign = 1.0 if both_maximise else -1.0
    second = _best_row(sign * np.einsum("sa,sab->sb", one, Q), own) + paid[1] - sign * V
    return np.stack([first, second])


def _ends(gains: Array, rho: Array, g: float) -> Array:
    """Return ρᵀδ + γ/(1−γ) of the least and of the largest gain, summed over the players, (2,)."""
    now = (gains @ rho).sum()
    return now + g / (1 - g) * np.array([gains.min(axis=1).sum(), gains.max(axis=1).sum()])


def _interval(P: Array, r: Array, g: float, rho: Array, tau: float, one: Array, two: Array) -> Array:
    return _ends(_step_gains(P, r, g, tau, one, two), rho, g)


def _of_gains(message: str, change: Callable[[Array, Array, float], Array], *, end: int | None = None) -> Mistake:
    """Return the mistake of combining the gains (2, S) in another way; `end` is the end where it shows."""

    def compute(P: Array, r: Array, g: float, rho: Array, tau: float, one: Array, two: Array) -> Array:
        gains = _step_gains(P, r, g, tau, one, two)
        found = _ends(gains, rho, g)
        if end is None:
            return change(gains, rho, g)
        found[end] = change(gains, rho, g)
        return found

    def recognises(found: Array, *given: Array) -> bool:
        return _near(found[end], compute(*given)[end])  # type: ignore[arg-type]

    return Mistake(message, compute, None if end is None else recognises)


def _with_gains(message: str, **changed: bool) -> Mistake:
    def compute(P: Array, r: Array, g: float, rho: Array, tau: float, one: Array, two: Array) -> Array:
        return _ends(_step_gains(P, r, g, tau, one, two, **changed), rho, g)

    return Mistake(message, compute)


def _without_temperature(P: Array, r: Array, g: float, rho: Array, tau: float, one: Array, two: Array) -> Array:
    return _interval(P, r, g, rho, 0.0, one, two)


def _with_own_visits(P: Array, r: Array, g: float, rho: Array, tau: float, one: Array, two: Array) -> Array:
    kernel = np.einsum("sa,sb,sabt->st", one, two, P)
    visits = np.linalg.solve((np.eye(len(rho)) - g * kernel).T, rho)
    return np.full(2, (_step_gains(P, r, g, tau, one, two) @ visits).sum())


def _answering(P: Array, r: Array, g: float, rho: Array, tau: float, two: Array) -> MDP:
    """Return the MDP that π₂ leaves to player 1."""
    gain = np.einsum("sab,sb->sa", r, two) + _charge(tau, two)[:, None]
    return MDP(np.einsum("sabt,sb->sat", P, two), gain, g, rho, tau)


def _exact_psi(P: Array, r: Array, g: float, rho: Array, tau: float, one: Array, two: Array) -> Array:
    """Return ψ twice, by solving for both best responses."""
    second = _answering(np.swapaxes(P, 1, 2), -np.swapaxes(r, 1, 2), g, rho, tau, one)
    return np.full(2, solve(_answering(P, r, g, rho, tau, two)).expected_return + solve(second).expected_return)


def _draw_interval(rng: np.random.Generator) -> Iterator[Instance]:
    def drawn(
        shape: tuple[int, int, int], g: float, tau: float, branching: int | None = None
    ) -> tuple[Array, Array, float, Array, float, Array, Array]:
        n_states, n_first, n_second = shape
        P = random_mdp(rng, n_states, n_first * n_second, 0.5, branching=branching).transition
        one, two = random_policy(rng, n_states, n_first), random_policy(rng, n_states, n_second)
        start = rng.dirichlet(np.ones(n_states))
        r = rng.normal(size=shape)
        return P.reshape(*shape, n_states), r, g, start, tau, one, two

    yield Instance("a game without temperature", drawn((4, 2, 3), 0.9, 0.0))
    yield Instance("a game with a temperature", drawn((4, 3, 3), 0.8, 0.7))
    yield Instance("a long game", drawn((5, 3, 2), 0.98, 0.3, 2))
    P, r, g, rho, tau, one, two = drawn((4, 3, 3), 0.9, 0.4)
    yield Instance("a start in one state", (P, r, g, np.eye(4)[0], tau, one, two))
    P, r, g, rho, tau, one, two = drawn((3, 3, 3), 0.7, 0.5)
    one[:, 0], two[:, 1] = 0.0, 0.0
    one, two = (rows / rows.sum(axis=1, keepdims=True) for rows in (one, two))
    yield Instance("a pair that never plays some actions", (P, r, g, rho, tau, one, two))
    P, r, g, rho, tau, one, two = drawn((4, 2, 2), 0.9, 0.5)
    best = solve(_answering(P, r, g, rho, tau, two)).policy
    yield Instance("a pair whose first player can hardly gain", (P, r, g, rho, tau, 0.95 * best + 0.05 * one, two))


_ONE_STEP = "Your bounds are for a single deviation; who deviates once may do so in every step."
_LATER_MEAN = "Your upper end takes for granted that later states are as in the mean; who deviates goes where it pays."
_APART = (
    "Your {} end lets both players go on to the same states; each deviates alone, and goes where its own gain is {}."
)

gap_interval = Task(
    _interval,
    _draw_interval,
    (
        _of_gains(
            "Your ends are exchanged.",
            lambda gains, rho, g: _ends(gains, rho, g)[::-1],
        ),
        Mistake(
            "Your interval has no width: you solved for the best responses, and one step of each is all you may use.",
            _exact_psi,
        ),
        Mistake(
            "Your deviations visit the states as often as the pair does; who deviates goes elsewhere.",
            _with_own_visits,
        ),
        Mistake("Your gains are those of the game without temperature.", _without_temperature),
        _with_gains(
            "Your deviations are to single actions; with a temperature a mixed row may gain more.", single=True
        ),
        _with_gains(
            "Your gains leave out what the other player pays for its row, although V counts it.", other_pays=False
        ),
        _with_gains("Your player 2 maximises, as player 1 does.", both_maximise=True),
        *(
            _of_gains(
                "Your interval is for the gain of one player; ψ adds what both gain.",
                lambda gains, rho, g, who=who: _ends(gains[[who]], rho, g),  # type: ignore[misc]
            )
            for who in (0, 1)
        ),
        _of_gains(
            "Your interval is for the larger of two gains; ψ adds them.",
            lambda gains, rho, g: np.max([_ends(gain[None], rho, g) for gain in gains], axis=0),
        ),
        _of_gains(
            "Your visits sum to 1; discounted visits sum to something else.",
            lambda gains, rho, g: (1 - g) * _ends(gains, rho, g),
        ),
        _of_gains(_ONE_STEP, lambda gains, rho, g: np.full(2, (gains @ rho).sum())),
        _of_gains(_ONE_STEP, lambda gains, rho, g: gains.max(axis=1).sum(), end=1),
        _of_gains(_ONE_STEP, lambda gains, rho, g: (gains @ rho).sum(), end=1),
        _of_gains(
            _APART.format("upper", "largest"),
            lambda gains, rho, g: (gains @ rho).sum() + g / (1 - g) * gains.sum(axis=0).max(),
            end=1,
        ),
        _of_gains(_APART.format("upper", "largest"), lambda gains, rho, g: gains.sum(axis=0).max() / (1 - g), end=1),
        _of_gains(_LATER_MEAN, lambda gains, rho, g: (gains @ rho).sum() / (1 - g), end=1),
        _of_gains(
            _LATER_MEAN,
            lambda gains, rho, g: (gains @ rho).sum() + g / (1 - g) * gains.mean(axis=1).sum(),
            end=1,
        ),
        _of_gains(
            "Your upper end counts the first step twice.",
            lambda gains, rho, g: (gains @ rho).sum() + gains.max(axis=1).sum() / (1 - g),
            end=1,
        ),
        _of_gains(
            "Your upper end is valid, but not the lowest: where the first step is taken is known.",
            lambda gains, rho, g: gains.max(axis=1).sum() / (1 - g),
            end=1,
        ),
        _of_gains(
            _APART.format("lower", "least"),
            lambda gains, rho, g: (gains @ rho).sum() + g / (1 - g) * gains.sum(axis=0).min(),
            end=0,
        ),
        _of_gains(
            "Your lower end promises in every later step what ρ sees in the first.",
            lambda gains, rho, g: (gains @ rho).sum() / (1 - g),
            end=0,
        ),
        _of_gains(
            "Your lower end is valid, but not the highest: later steps gain something, too.",
            lambda gains, rho, g: (gains @ rho).sum(),
            end=0,
        ),
        _of_gains(
            "Your lower end is valid, but not the highest: where the first step is taken is known.",
            lambda gains, rho, g: gains.min(axis=1).sum() / (1 - g),
            end=0,
        ),
        _of_gains("Your lower end is 0, which says nothing.", lambda gains, rho, g: np.zeros(()), end=0),
    ),
)


# Task 3: two players who do not share one return.
# Arguments: P (S, A, B, S), r (2, S, A, B), γ, ρ, τ (2,), π (two), e (two directions).

Two = tuple[Array, Array]


def _own_return(
    P: Array, r: Array, g: float, rho: Array, tau: float, pair: Two, who: int, other: float = 0.0
) -> complex:
    """Return V_i from ρ, charged τh for the own row and `other`·h for the other one's; complex rows are allowed."""
    one, two = pair

    def charge(rows: Array) -> Array:
        return np.asarray(np.where(rows == 0, 0, rows * np.log(np.where(rows == 0, 1, rows)))).sum(axis=1)

    gain = np.einsum("sa,sb,sab->s", one, two, r) - tau * charge(pair[who]) - other * charge(pair[1 - who])
    kernel = np.einsum("sa,sb,sabt->st", one, two, P)
    return complex(rho @ np.linalg.solve(np.eye(len(rho)) - g * kernel, gain))


def _answer(
    P: Array, r: Array, g: float, tau: float, pair: Two, who: int, other: float = 0.0, hard: bool = False
) -> Array:
    """Return the best response of player `who` (0 or 1) to the other one's policy, by soft policy iteration."""
    fixed = pair[1 - who]
    axes = ("sab,sb->sa", "sabt,sb->sat") if who == 0 else ("sab,sa->sb", "sabt,sa->sbt")
    gain = np.einsum(axes[0], r, fixed) - _charge(other, fixed)[:, None]
    kernel = np.einsum(axes[1], P, fixed)
    value = np.zeros(len(gain))
    for _ in range(100):
        ahead = gain + g * kernel @ value
        rows = np.eye(gain.shape[1])[ahead.argmax(axis=1)] if hard else softmax(ahead / tau, axis=1)
        paid = (rows * gain).sum(axis=1) - (0.0 if hard else _charge(tau, rows))
        before = value
        value = np.linalg.solve(np.eye(len(gain)) - g * np.einsum("sa,sat->st", rows, kernel), paid)
        if np.abs(value - before).max() <= 1e-13 * np.abs(value).max():
            break
    return rows


def _moved(pair: Two, who: int, row: Array) -> Two:
    return (row, pair[1]) if who == 0 else (pair[0], row)


def _own_gaps(
    P: Array, r: Array, g: float, rho: Array, tau: Array, pair: Two, e: Two, *, other: float = 0.0, swap: bool = False
) -> Array:
    """Return ψ and its slopes along both directions, by complex steps with the best responses held fixed.

    With `other`, each player is charged that times the other one's τh, too; with `swap` the other one's τ.
    """
    tau = tau[::-1] if swap else tau

    def gap(moved: Two) -> complex:
        total = 0j
        for i in (0, 1):
            given = (P, r[i], g, rho, tau[i])
            total += _own_return(*given, _moved(moved, i, best[i]), i, other * tau[1 - i])
            total -= _own_return(*given, moved, i, other * tau[1 - i])
        return total

    best = [_answer(P, r[i], g, tau[i], pair, i, other * tau[1 - i]) for i in (0, 1)]
    slopes = [gap(_moved(pair, i, pair[i] + 1e-30j * e[i])).imag / 1e-30 for i in (0, 1)]
    return np.array([gap(pair).real, *slopes])


def _visits(P: Array, g: float, rho: Array, pair: Two) -> Array:
    kernel = np.einsum("sa,sb,sabt->st", *pair, P)
    result: Array = np.linalg.solve((np.eye(len(rho)) - g * kernel).T, rho)
    return result


def _ahead(P: Array, r: Array, g: float, tau: float, pair: Two, who: int, mover: int, steep: bool = True) -> Array:
    """Return what each action of the mover is worth to player `who` next, less the slope of its charge if it pays."""
    gain = np.einsum("sa,sb,sab->s", *pair, r) - _charge(tau, pair[who])
    kernel = np.einsum("sa,sb,sabt->st", *pair, P)
    Q = r + g * P @ np.linalg.solve(np.eye(len(gain)) - g * kernel, gain)
    result: Array = np.einsum("sab,sb->sa", Q, pair[1]) if mover == 0 else np.einsum("sab,sa->sb", Q, pair[0])
    return result - tau * np.log(pair[mover]) if who == mover and steep else result


def _slopes_with(
    weights: tuple[float, float, float] = (-1.0, 1.0, -1.0),
    *,
    seen: str = "each its own",
    steep: bool = True,
    zero_sum: bool = False,
    signs: tuple[float, float] = (1.0, 1.0),
) -> Callable[..., Array]:
    """Return the taught way with another share of its three parts, with other visits, or as in a zero-sum game.

    The parts are the slopes of the own value, of what the other one's best response has, and of what it has now.
    """

    def compute(P: Array, r: Array, g: float, rho: Array, tau: Array, pair: Two, e: Two) -> Array:
        found = [_own_gaps(P, r, g, rho, tau, pair, e)[0]]
        for i in (0, 1):
            j = 1 - i
            met = _moved(pair, j, _answer(P, r[j], g, tau[j], pair, j))
            if zero_sum:
                parts = [(-1.0, met, _ahead(P, r[i], g, tau[i], met, i, i))]
            else:
                mine, yours = (P, r[i], g, tau[i]), (P, r[j], g, tau[j])
                parts = [
                    (weights[0], pair, _ahead(*mine, pair, i, i, steep)),
                    (weights[1], met, _ahead(*yours, met, j, i)),
                    (weights[2], pair, _ahead(*yours, pair, j, i)),
                ]
            visits = {"each its own": None, "start": rho, "pair": _visits(P, g, rho, pair)}[seen]
            slope = 0.0
            for weight, where, ahead in parts:
                d = _visits(P, g, rho, where) if visits is None else visits
                slope += weight * float(d @ (e[i] * ahead).sum(axis=1))
            found.append(signs[i] * slope)
        return np.array(found)

    return compute


def _zero_sum_gap(P: Array, r: Array, g: float, rho: Array, tau: Array, pair: Two, e: Two) -> Array:
    """Return V₁ with player 1's best response less V₁ with player 2's, and the slopes of a zero-sum game."""
    best = [_answer(P, r[i], g, tau[i], pair, i) for i in (0, 1)]
    high, low = (_own_return(P, r[0], g, rho, tau[0], _moved(pair, i, best[i]), 0).real for i in (0, 1))
    return np.array([high - low, *_slopes_with(zero_sum=True)(P, r, g, rho, tau, pair, e)[1:]])


def _both_answer(P: Array, r: Array, g: float, rho: Array, tau: Array, pair: Two, e: Two) -> Array:
    """Let both answer at the same time, each meeting the other one's answer."""
    best = tuple(_answer(P, r[i], g, tau[i], pair, i) for i in (0, 1))
    gains = [
        _own_return(P, r[i], g, rho, tau[i], best, i).real - _own_return(P, r[i], g, rho, tau[i], pair, i).real  # type: ignore[arg-type]
        for i in (0, 1)
    ]
    return np.array([sum(gains), *_own_gaps(P, r, g, rho, tau, pair, e)[1:]])


def _hard_answers(P: Array, r: Array, g: float, rho: Array, tau: Array, pair: Two, e: Two) -> Array:
    """Let the best responses be those without temperature, charged for nothing as they do not mix."""
    best = [_answer(P, r[i], g, tau[i], pair, i, hard=True) for i in (0, 1)]
    found = np.zeros(3)
    for i in (0, 1):
        j = 1 - i
        for answered, sign in ((True, 1.0), (False, -1.0)):
            where = [_moved(pair, k, best[k]) if answered else pair for k in (0, 1)]
            found[0] += sign * _own_return(P, r[i], g, rho, tau[i], where[i], i).real
            found[1 + i] += (
                sign * _visits(P, g, rho, where[j]) @ (e[i] * _ahead(P, r[j], g, tau[j], where[j], j, i)).sum(axis=1)
            )
        found[1 + i] -= _visits(P, g, rho, pair) @ (e[i] * _ahead(P, r[i], g, tau[i], pair, i, i)).sum(axis=1)
    return found


def _draw_own_gaps(rng: np.random.Generator) -> Iterator[Instance]:
    def drawn(shape: tuple[int, int, int], g: float, tau: tuple[float, float], kind: str = "") -> tuple[object, ...]:
        n_states, n_first, n_second = shape
        P = random_mdp(rng, n_states, n_first * n_second, 0.5, branching=2).transition.reshape(*shape, n_states)
        r = rng.normal(size=(2, *shape))
        if kind:
            r[1] = -r[0] if kind == "zero-sum" else r[0]
        pairs = [(random_policy(rng, n_states, n_first), random_policy(rng, n_states, n_second)) for _ in "ab"]
        pair = tuple(0.8 * rows + 0.2 / rows.shape[1] for rows in pairs[0])
        e = tuple(new - old for new, old in zip(pairs[1], pair, strict=True))
        return P, r, g, rng.dirichlet(np.ones(n_states)), np.array(tau), pair, e

    yield Instance("a game with two rewards", drawn((3, 2, 3), 0.8, (0.3, 0.6)))
    yield Instance("a larger game", drawn((5, 3, 3), 0.9, (0.5, 0.2)))
    yield Instance("a zero-sum game in which each pays for itself", drawn((4, 3, 2), 0.7, (0.4, 0.9), "zero-sum"))
    yield Instance("a game with common interest", drawn((4, 2, 2), 0.9, (0.8, 0.3), "common"))


own_gaps = Task(
    _own_gaps,
    _draw_own_gaps,
    (
        Mistake("Your ψ and its slopes are those of a zero-sum game; here nothing cancels.", _zero_sum_gap),
        Mistake(
            "Your slopes are those of a zero-sum game, where what both have now cancels; here it does not.",
            _slopes_with(zero_sum=True),
        ),
        Mistake("Your players answer each other at the same time; each answers the row that is there.", _both_answer),
        Mistake(
            "Your slopes look only at what the one who moves could gain; its row also moves what the other could.",
            _slopes_with((-1.0, 0.0, 0.0)),
        ),
        Mistake(
            "Your slopes look only at what the other one could gain, not at what the one who moves has.",
            _slopes_with((0.0, 1.0, -1.0)),
        ),
        Mistake(
            "Your slopes take what the other one has now for fixed; the row that moves changes that, too.",
            _slopes_with((-1.0, 1.0, 0.0)),
        ),
        Mistake(
            "Your slopes take what the other one's best response earns for fixed; the row that moves changes it.",
            _slopes_with((-1.0, 0.0, -1.0)),
        ),
        Mistake("Your slopes have the wrong sign.", _slopes_with(signs=(-1.0, -1.0))),
        Mistake(
            "Your player 2 minimises its reward in the slopes; both maximise their own.",
            _slopes_with(signs=(1.0, -1.0)),
        ),
        Mistake("Your slopes leave out how the charge for a row changes with the row.", _slopes_with(steep=False)),
        Mistake(
            "Your slopes weight the states by where one starts, not by where the policies go.",
            _slopes_with(seen="start"),
        ),
        Mistake(
            "Your slopes weight the states by the visits of the pair also where a best response is played.",
            _slopes_with(seen="pair"),
        ),
        Mistake("Your players' temperatures are exchanged.", partial(_own_gaps, swap=True)),
        Mistake(
            "Your players are paid what the other one pays for its row; each pays only for itself.",
            partial(_own_gaps, other=-1.0),
        ),
        Mistake(
            "Your players pay for the other one's row, too; each pays only for itself.", partial(_own_gaps, other=1.0)
        ),
        Mistake("Your best responses are those without temperature.", _hard_answers),
    ),
)
