"""Problem set 13: wages that cost a fee each time, threats that are free, behaviour that is bought.

In all three, player 2 pays an incentive x to player 1 on top of the reward. Each `Task` is called with the student's
function, and with a seed for other instances. Most mistakes are the taught way with one thing changed; the function
that follows it takes that as an option.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.optimize import linprog

from ..equilibria import solve_zero_sum
from ..evaluation import GameEvaluation, backup, evaluate
from ..models import ZeroSumGame
from ..simplex import random_policy
from ..typing import Array
from ..worlds import random_zero_sum_game
from . import Instance, Mistake, Task
from .shared import ByHand, Changes, told


def _draw_game(rng: np.random.Generator, n_states: int, n_first: int, n_second: int, discount: float) -> ZeroSumGame:
    """Draw a sparse game with rewards of both signs and a start that is not uniform."""
    game = random_zero_sum_game(rng, n_states, n_first, n_second, discount, branching=min(2, n_states))
    start = 0.2 / n_states + 0.8 * rng.dirichlet(np.ones(n_states))
    return ZeroSumGame(game.transition, rng.normal(size=game.reward.shape), discount, start)


# Task 1: wages for actions. Arguments: P (S,A,B,S), r, r_D (S,A,B), γ, ρ, τ, c, x (S,A).


def _equilibrium(P: Array, r: Array, g: float, rho: Array, t: float, x: Array) -> GameEvaluation:
    found = solve_zero_sum(ZeroSumGame(P, r + x[:, :, None], g, rho, t), tolerance=1e-10)
    return evaluate(found.game, found.policies)


def _stage_response(game: Array, first: Array, second: Array, t: float, *, meet: float = 1.0, side: float = 1.0) -> Any:
    """Return the matrix (A+B, A·B) that sends dQ to (dp, dq), the response of a stage equilibrium.

    It solves dQ q + Q dq − τ dp/p = const, dQ'p + Q'dp + τ dq/q = const, Σdp = Σdq = 0. With `meet` 0 each player
    answers as if the other stood still; with `side` −1 player 2 answers as if it wanted more.
    """
    a, b = len(first), len(second)
    system = np.zeros((a + b + 2, a + b + 2))
    system[:a, :a], system[:a, a : a + b] = -t * np.diag(1 / first), meet * game
    system[a : a + b, :a], system[a : a + b, a : a + b] = meet * game.T, side * t * np.diag(1 / second)
    system[:a, -2] = system[a : a + b, -1] = system[-2, :a] = system[-1, a : a + b] = 1.0
    right = np.zeros((a + b + 2, a, b))
    right[np.arange(a), np.arange(a)] = -second
    right[a + np.arange(b), :, np.arange(b)] = -first
    return np.linalg.solve(system, right.reshape(a + b + 2, -1))[: a + b]


def _wage(P: Array, r: Array, wanted: Array, g: float, rho: Array, t: float, fee: float, x: Array) -> Array:
    """Differentiate forward: for each wage the values, the action values, both policies, and then f."""
    at = _equilibrium(P, r, g, rho, t, x)
    first, second = at.policies
    charged = fee / 2 * x[:, :, None] ** 2 - wanted
    worth = backup(at.game, at.side_value(charged), charged)
    responses = [_stage_response(*stage, t) for stage in zip(at.action_value, first, second, strict=True)]
    result: Array = at.occupancy[:, None] * first * fee * x
    for s, a in np.ndindex(*x.shape):
        change = g * P @ at.solve(first[s, a] * np.eye(len(rho))[s])
        change[s, a] += 1.0
        for k, response in enumerate(responses):
            dp, dq = np.split(response @ change[k].ravel(), [len(first[k])])
            result[s, a] += at.occupancy[k] * (dp @ worth[k] @ second[k] + first[k] @ worth[k] @ dq)
    return result


def _wage_with(
    *given: Any,
    direct: str = "made",
    response: float = 1.0,
    movers: tuple[float, float] = (1.0, 1.0),
    meet: float = 1.0,
    side: float = 1.0,
    power: int = 1,
    later: str = "right",
    charges: float = 1.0,
    ahead: bool = True,
    visits: str = "occupancy",
    mean: bool = False,
) -> Array:
    """Follow the taught way, backwards, with one thing changed."""
    P, r, wanted, g, rho, t, fee, x = given
    at = _equilibrium(P, r, g, rho, t, x)
    first, second = at.policies
    charged = charges * fee / 2 * x[:, :, None] ** 2 - wanted
    worth = backup(at.game, at.side_value(charged), charged) if ahead else charged
    seen = {"occupancy": at.occupancy, "start": rho}[visits][:, None]
    slopes = [moves * seen * slope for moves, slope in zip(movers, at.marginal(worth), strict=True)]
    heat = 1.0 if power == 0 else t
    weights = np.zeros(r.shape)
    for k, (Q, p, q) in enumerate(zip(at.action_value, first, second, strict=True)):
        matrix = _stage_response(Q, p, q, heat, meet=meet, side=side)
        weights[k] = (np.concatenate([slopes[0][k], slopes[1][k]]) @ matrix).reshape(Q.shape)
    arriving = g * np.einsum("sab,sabt->t", weights, P)
    z = {"right": at.solve(arriving, transposed=True), "backwards": at.solve(arriving), "none": 0 * rho}[later]
    mass = weights + z[:, None, None] * at.policy
    own = {
        "made": at.occupancy[:, None] * first,
        "none": 0.0,
        "announced": 1.0,
        "start": rho[:, None] * first,
        "always": at.occupancy[:, None],
    }[direct]
    result: Array = own * fee * x + response * (mass.mean(axis=2) if mean else mass.sum(axis=2))
    return result


def _draw_wages(rng: np.random.Generator) -> Iterator[Instance]:
    for sizes, g, t in (((4, 3, 2), 0.9, 0.5), ((3, 2, 4), 0.8, 1.5), ((4, 3, 3), 0.6, 0.2)):
        game = _draw_game(rng, *sizes, g)
        wanted, x = rng.normal(size=game.reward.shape), rng.uniform(-1, 1, size=sizes[:2])
        given = game.transition, game.reward, wanted, g
        yield Instance(f"{sizes[1]} by {sizes[2]} actions, γ = {g} and τ = {t}", (*given, game.initial, t, 0.7, x))
    yield Instance("no wages yet", (*given, game.initial, 0.5, 0.7, np.zeros_like(x)))
    yield Instance("a single start state", (*given, np.eye(4)[rng.integers(4)], 0.5, 1.5, x))


WAGES: Changes = {
    "Your gradient leaves out that a higher wage costs a higher fee each time it is paid.": {"direct": "none"},
    "Your fee is that of wages announced; it is charged when a wage is paid, and as often.": {"direct": "announced"},
    "Your fee is charged in the first step only.": {"direct": "start"},
    "Your fee is charged in every visit, also where player 1 does something else.": {"direct": "always"},
    "Your gradient keeps both policies as they are, whatever x becomes.": {"response": 0.0},
    "Your players answer with the wrong sign.": {"response": -1.0},
    "Your gradient lets player 1 move and holds player 2 in its place.": {"movers": (1.0, 0.0)},
    "Your gradient lets player 2 move and holds player 1 in its place.": {"movers": (0.0, 1.0)},
    "Your players each answer as if the other stood still.": {"meet": 0.0},
    "Your player 2 answers as if it wanted what player 1 wants.": {"side": -1.0},
    "Your players answer as fast at every temperature.": {"power": 0},
    "Your stage games change in the first step only; x changes what later states are worth, too.": {"later": "none"},
    "Your adjoint flows forwards in time (which solve answers to a given weight on the values?).": {
        "later": "backwards"
    },
    "Your designer does not care who is paid when the policies move: the fees belong to what an action is worth.": {
        "charges": 0.0
    },
    "Your slope in the policies looks at the designer's reward and fee of today only.": {"ahead": False},
    "Your slope in the policies weights the states by where the game starts, not by where it goes.": {
        "visits": "start"
    },
    "Your wage reaches one of player 2's actions at a time; it is paid whatever player 2 does.": {"mean": True},
}

wage_gradient = ByHand(
    _wage,
    _draw_wages,
    (
        Mistake("Your gradient is that of −f.", lambda *given: -_wage(*given)),
        *told(_wage_with, WAGES),
    ),
    tolerance=1e-5,
    without=("hypergradient", "minus_return", "stage_adjoint", "action_value_adjoint"),
)


# Task 2: what is paid if threats are free. Arguments: P, r, a* (S,), b* (S,), γ, ρ, β, δ.


def _cells(P: Array, r: Array, a: Array, b: Array, g: float) -> tuple[Array, Array, Array, Array]:
    """Return (state, side, r, γP) of the cells that matter: the profile's first, then player 1's, then player 2's."""
    found = [(s, 0.0, (s, a[s], b[s])) for s in range(len(r))]
    found += [(s, 1.0, (s, i, b[s])) for s in range(len(r)) for i in range(r.shape[1]) if i != a[s]]
    found += [(s, -1.0, (s, a[s], j)) for s in range(len(r)) for j in range(r.shape[2]) if j != b[s]]
    states, sides, cells = zip(*found, strict=True)
    index = tuple(np.array(cells).T)
    return np.array(states), np.array(sides), r[index], g * P[index]


def _least_paid(
    *given: Any,
    players: tuple[int, ...] = (1, 2),
    allies: bool = False,
    margin: float = 1.0,
    later: str = "own",
    visited: bool = False,
    weights: str = "occupancy",
    threats: bool = False,
    signed: bool = False,
) -> Array:
    """Solve the linear program in V and the sizes m of the payments, one for each cell that matters.

    A = r + γPV − V(s) is what a cell earns more than V. In the profile |A| ≤ m; elsewhere δ ± A ≤ m; and m ≤ β.
    """
    P, r, a, b, g, rho, most, delta = given
    n = len(rho)
    state, side, reward, step = _cells(P, r, a, b, g)
    occupancy = np.linalg.solve(np.eye(n) - step[:n].T, rho)
    if later != "own":  # what comes next is a number, or nothing
        unpaid = np.linalg.solve(np.eye(n) - step[:n], reward[:n])
        reward, step = reward + (step @ unpaid if later == "frozen" else 0.0), 0.0 * step
    ahead = step - np.eye(n)[state]
    deviation = np.isin(side, [{1: 1.0, 2: -1.0}[k] for k in players])
    deviation &= (not visited) | (occupancy[state] > 1e-12)
    sense = np.where(side < 0, 1.0 if allies else -1.0, side)
    size = np.eye(len(state))
    rows = [np.hstack([sense[:, None] * ahead, -size])[deviation], np.hstack([-ahead, -size])[:n]]
    right = [-(margin * delta + sense * reward)[deviation], reward[:n]]
    rows.append(np.hstack([ahead, size if signed else -size])[:n])
    right.append(-reward[:n])
    cost = {"occupancy": occupancy, "start": rho, "announced": np.ones(n), "per step": (1 - g) * occupancy}[weights]
    price = np.where((side == 0) | threats, cost[state], 0.0)
    limits = [(None, None)] * n + [(-most if signed and s == 0 else 0.0, most) for s in side]
    found = linprog(np.r_[np.zeros(n), price], np.vstack(rows), np.concatenate(right), bounds=limits)
    if found.x is None:
        raise ValueError("no incentives within the bound will do")
    return np.asarray(found.fun)


def _bounds(*given: Any) -> tuple[float, float]:
    """Return the least bound under which anything will do, and the one from which threats alone will."""
    P, r, a, b, g, _, delta = given
    n = len(r)
    state, side, reward, step = _cells(P, r, a, b, g)
    ahead = step - np.eye(n)[state]
    rows = np.vstack([side[:, None] * ahead, ahead * (side == 0)[:, None], -ahead * (side == 0)[:, None]])
    own = np.where(side == 0, reward, 0.0)
    right = np.concatenate([np.where(side == 0, 0.0, -delta - side * reward), -own, own])
    limits = [(None, None)] * n + [(0.0, None)]
    least = linprog(np.r_[np.zeros(n), 1.0], np.hstack([rows, -np.ones((len(rows), 1))]), right, bounds=limits).fun
    unpaid = np.linalg.solve(-ahead[:n], reward[:n])
    return float(least), float((delta + side * (reward + ahead @ unpaid))[n:].max())


def _draw_profiles(rng: np.random.Generator) -> Iterator[Instance]:
    for sizes, g, delta in (((4, 3, 3), 0.9, 0.2), ((5, 2, 4), 0.8, 0.5), ((3, 4, 2), 0.6, 0.0), ((1, 3, 3), 0.0, 0.1)):
        margin = f"a margin of {delta}" if delta else "no margin"
        yield Instance(f"{sizes[1]} by {sizes[2]} actions, γ = {g}, {margin}", _profile(rng, sizes, g, delta))
    yield Instance("states where the profile never comes", _profile(rng, (5, 3, 3), 0.9, 0.1, closed=True))


def _profile(
    rng: np.random.Generator, sizes: tuple[int, int, int], g: float, delta: float, *, closed: bool = False
) -> tuple[Any, ...]:
    """Draw a game, a profile and a bound under which something has to be paid; closed: two states are not visited."""
    while True:
        game = _draw_game(rng, *sizes, g)
        P, rho = game.transition.copy(), game.initial.copy()
        a, b = (rng.integers(count, size=sizes[0]) for count in sizes[1:])
        if closed:
            for s in range(sizes[0] - 2):
                P[s, a[s], b[s]] = [*rng.dirichlet(np.ones(sizes[0] - 2)), 0.0, 0.0]
            rho[-2:] = 0.0
            rho /= rho.sum()
        least, free = _bounds(P, game.reward, a, b, g, rho, delta)
        given = P, game.reward, a, b, g, rho, least + rng.uniform(0.3, 0.6) * (free - least), delta
        if free - least < 0.1:
            continue
        paid = _least_paid(*given)
        others = [_least_paid(*given, visited=True)] if closed else []
        if sizes[0] > 1 and not closed:  # in a single state one player alone makes payments necessary
            others = [_least_paid(*given, players=(k,)) for k in (1, 2)]
        if paid > 0.05 and max(others, default=0.0) < 0.99 * paid:
            return given


def _unlimited(*given: Any) -> Array:
    return _least_paid(*given[:6], 1e3 + 1e3 * np.abs(given[1]).max(), given[7])


def _nothing(found: Array, *given: Any) -> bool:
    """Tell whether nothing is paid, up to a solver's rounding."""
    return bool(abs(found) <= 1e-6 * np.abs(given[1]).max())


PROFILES: Changes = {
    "Your profile is safe from player 1's deviations only.": {"players": (1,)},
    "Your profile is safe from player 2's deviations only.": {"players": (2,)},
    "Your player 2 is kept in the profile as if it wanted what player 1 wants.": {"allies": True},
    "Your deviations may cost nothing; each has to cost the margin.": {"margin": 0.0},
    "Your later states are worth what they are without payments.": {"later": "frozen"},
    "Your players look at today only.": {"later": "none"},
    "Your players keep to the profile only where it leads them from the start; it is to be an equilibrium in every "
    "state.": {"visited": True},
    "Your payments are those of the first step only.": {"weights": "start"},
    "Your payments count once for each state, however often it is visited.": {"weights": "announced"},
    "Your payments are those of an average step: the visits of your occupancy sum to 1.": {"weights": "per step"},
    "Your cost counts threats, which nobody ever has to pay.": {"threats": True},
    "Your payments to one player cancel those to the other; each costs its size.": {"signed": True},
}

least_payments = Task(
    _least_paid,
    _draw_profiles,
    (
        Mistake("Your threats are not limited by the bound.", _unlimited, _nothing),
        *told(_least_paid, PROFILES),
    ),
    tolerance=1e-5,
    not_finite="The result is not finite, as cvxpy's is if your conditions contradict each other",
)


# Task 3: behaviour that is bought. Arguments: P, r, π₁ (S,A), π₂ (S,B), γ, ρ, τ.


def _weights(P: Array, first: Array, second: Array, g: float, rho: Array) -> tuple[Array, Array]:
    """Return the occupancy d (S,) and d π₁ π₂ (S,A,B)."""
    both = first[:, :, None] * second[:, None, :]
    d = np.linalg.solve(np.eye(len(rho)) - g * np.einsum("sab,sabt->ts", both, P), rho)
    return d, d[:, None, None] * both


def _bought(P: Array, r: Array, first: Array, second: Array, g: float, rho: Array, t: float) -> Array:
    """Project one x that will do: the cheapest is of the form α(s,a) + β(s,b), whatever Φ is added to the values.

    x₀ = τ log π₁(a|s) − τ log π₂(b|s) − r makes all values 0. What may be added is Φ(s) − γPΦ, and tables that vanish
    in the mean over either player's action; the latter are what the projection on α + β takes away.
    """

    def additive(table: Array) -> Array:
        over_b = np.einsum("sab...,sb->sa...", table, second)[:, :, None]
        over_a = np.einsum("sab...,sa->sb...", table, first)[:, None]
        result: Array = over_b + over_a - np.einsum("sa...,sa->s...", over_b[:, :, 0], first)[:, None, None]
        return result

    _, weights = _weights(P, first, second, g, rho)
    start = additive(t * (np.log(first)[:, :, None] - np.log(second)[:, None, :]) - r)
    shifts = additive(np.eye(len(rho))[:, None, None, :] - g * P)
    root = np.sqrt(weights)
    potential = np.linalg.lstsq((root[..., None] * shifts).reshape(-1, len(rho)), -(root * start).ravel())[0]
    return start + shifts @ potential


def _bought_with(
    *given: Any,
    weights: str = "made",
    players: tuple[int, ...] = (1, 2),
    side: float = 1.0,
    charged: bool = True,
    later: str = "own",
    heat: float | None = None,
) -> Array:
    """Solve the conditions of the minimum as one linear system, with one thing changed."""
    P, r, first, second, g, rho, t = given
    n = len(r)
    d, made = _weights(P, first, second, g, rho)
    heat = t if heat is None else heat
    states, cells = np.eye(n), np.eye(r.size).reshape(*r.shape, r.size)
    charges = [heat * (policy * np.log(policy)).sum(axis=1, keepdims=True) for policy in (first, second)]
    step, ahead = g * P, 0.0 * r
    if later != "own":  # the value without payments, or nothing
        both = first[:, :, None] * second[:, None, :]
        reward = (both * r).sum(axis=(1, 2)) + (charges[1] - charges[0])[:, 0]
        unpaid = np.linalg.solve(np.eye(n) - g * np.einsum("sab,sabt->st", both, P), reward)
        step, ahead = 0.0 * P, (g * P @ unpaid if later == "frozen" else ahead)
    whole = np.concatenate([cells, step - states[:, None, None, :]], axis=3)  # x + γPV − V(s), of (x, V)
    rows = np.einsum("sabk,sb->sak", whole, second), np.einsum("sabk,sa->sbk", whole, first)
    # What is constant in a row makes the mean over it what V says; V counts the charges, or does not.
    off = (charges[1], charges[0]) if charged else (charges[0], charges[1])
    right = (
        heat * np.log(first) - off[0] - np.einsum("sab,sb->sa", r + ahead, second),
        side * (charges[1] - heat * np.log(second)) - charges[1] + off[1] - np.einsum("sab,sa->sb", r + ahead, first),
    )
    keep = np.vstack([rows[k - 1].reshape(-1, r.size + n) for k in players])
    goal = np.concatenate([right[k - 1].ravel() for k in players])
    weight = {
        "made": made,
        "announced": np.ones_like(made),
        "start": made * (rho / d)[:, None, None],
        "visits": np.ones_like(made) * d[:, None, None],
    }[weights].ravel()
    square = np.diag(np.r_[weight, np.zeros(n)])
    system = np.block([[square, keep.T], [keep, np.zeros((len(keep), len(keep)))]])
    solution = np.linalg.lstsq(system, np.r_[np.zeros(r.size + n), goal], rcond=1e-13)[0]
    result: Array = solution[: r.size].reshape(r.shape)
    return result


def _will_do(found: Array, *given: Any) -> bool:
    """Tell whether the profile is the equilibrium with these payments."""
    P, r, first, second, g, rho, t = given
    at = evaluate(ZeroSumGame(P, r + found, g, rho, t), (first, second))
    earned = at.marginal(at.action_value)
    gaps = earned[0] - t * np.log(first), earned[1] + t * np.log(second)
    return max(float(np.ptp(gap, axis=1).max()) for gap in gaps) <= 1e-4 * float(np.abs(found).max())


def _some(P: Array, r: Array, first: Array, second: Array, g: float, rho: Array, t: float) -> Array:
    """Return payments that make all values 0."""
    result: Array = t * (np.log(first)[:, :, None] - np.log(second)[:, None, :]) - r
    return result


def _draw_targets(rng: np.random.Generator) -> Iterator[Instance]:
    for sizes, g, t in (((4, 3, 2), 0.9, 0.5), ((3, 2, 4), 0.8, 2.0), ((4, 3, 3), 0.6, 0.1)):
        yield Instance(f"{sizes[1]} by {sizes[2]} actions, γ = {g} and τ = {t}", _target(rng, sizes, g, t))
    yield Instance("a single state", _target(rng, (1, 3, 3), 0.9, 0.5))
    yield Instance("actions that are to be rare", _target(rng, (4, 3, 3), 0.9, 0.5, rare=0.01))


def _target(
    rng: np.random.Generator, sizes: tuple[int, int, int], g: float, t: float, rare: float = 0.1
) -> tuple[Any, ...]:
    game = _draw_game(rng, *sizes, g)
    policies = [
        rare + (1 - rare * count) * (random_policy(rng, sizes[0], count) if rare > 0.05 else np.eye(count)[picked])
        for count in sizes[1:]
        for picked in [rng.integers(count, size=sizes[0])]
    ]
    return game.transition, game.reward, *policies, g, game.initial, t


TARGETS: Changes = {
    "Your payments are the least announced; asked are the least that are made.": {"weights": "announced"},
    "Your payments are the least of the first step.": {"weights": "start"},
    "Your payments count in every visit in full; one is made only if its two actions are played.": {
        "weights": "visits"
    },
    "Your payments keep player 1 in the profile, but not player 2.": {"players": (1,)},
    "Your payments keep player 2 in the profile, but not player 1.": {"players": (2,)},
    "Your players are indifferent between their actions; at τ > 0 that makes them play all alike.": {"heat": 0.0},
    "Your player 2 has player 1's sign before its logarithm.": {"side": -1.0},
    "Your values leave out what the players are charged for their mixtures.": {"charged": False},
    "Your players have the temperature 1.": {"heat": 1.0},
    "Your later states are worth what they are without payments; x changes that, too.": {"later": "frozen"},
    "Your players look at today only.": {"later": "none"},
}

bought_profile = Task(
    _bought,
    _draw_targets,
    (
        Mistake("Your payments go from player 1 to player 2.", lambda *given: -_bought(*given)),
        *told(_bought_with, TARGETS),
        Mistake("Your payments make the profile the equilibrium, but cheaper ones do, too.", _some, _will_do),
    ),
    tolerance=1e-5,
)
