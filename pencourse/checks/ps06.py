"""Problem set 06: slopes in the policy and in the model, two tangents at a tie, the exact hypergradient.

In tasks 2 to 4 two worlds are mixed: r_x = (1−x) r₀ + x r₁ and P_x = (1−x) P₀ + x P₁, x a number in each state or one
for all. Each `Task` is called with the student's function, and with a seed for other instances. Most mistakes are the
taught way with one thing changed; the function that follows it takes that as an option.
"""

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from ..evaluation import backup, evaluate
from ..models import MDP
from ..planning import Plan, solve
from ..simplex import random_policy
from ..typing import Array
from . import Instance, Mistake, Task
from .shared import ByHand, Changes, garnet, told


def _two_worlds(rng: np.random.Generator, n_states: int, n_actions: int) -> tuple[Array, Array, Array]:
    """Draw two kernels (2, S, A, S), two rewards (2, S, A) and a start."""
    drawn = [garnet(rng, n_states, n_actions, 0.5) for _ in range(2)]
    return np.stack([mdp.transition for mdp in drawn]), np.stack([mdp.reward for mdp in drawn]), drawn[0].initial


def _mixed(tables: Array, mix: Array) -> Array:
    """Return (1−x) table₀ + x table₁, x a number in each state."""
    x = np.asarray(mix).reshape((-1,) + (1,) * (tables.ndim - 2))
    result: Array = (1 - x) * tables[0] + x * tables[1]
    return result


def _model(kernels: Array, rewards: Array, discount: float, initial: Array, temperature: float, mix: Array) -> MDP:
    return MDP(_mixed(kernels, mix), _mixed(rewards, mix), discount, initial, temperature)


def _change(kernels: Array, rewards: Array, discount: float, value: Array) -> Array:
    """Return (r₁ − r₀) + γ (P₁ − P₀) value, shape (S, A): what one unit of x does to a look-ahead."""
    result: Array = rewards[1] - rewards[0] + discount * (kernels[1] - kernels[0]) @ value
    return result


# Task 1: the slope of the value penalty in the policy. Arguments: P, r, γ, ρ, τ, price, y.


def _slope(P: Array, r: Array, g: float, rho: Array, t: float, price: Array, y: Array) -> Array:
    """Differentiate −V^y(ρ) by a complex step, entry by entry; it is a rational function of the entries of y."""
    found = np.zeros(y.shape)
    for entry in np.ndindex(*y.shape):
        shifted = y.astype(complex)
        shifted[entry] += 1e-30j
        moves = np.einsum("sa,sat->st", shifted, P)
        paid = (shifted * r).sum(axis=1) - t / 2 * (price * shifted * shifted).sum(axis=1)
        found[entry] = -(rho @ np.linalg.solve(np.eye(len(rho)) - g * moves, paid)).imag / 1e-30
    result: Array = found - found.mean(axis=1, keepdims=True)
    return result


def _slope_with(
    *given: Any,
    visits: str = "occupancy",
    charged: float = 1.0,
    charge: float = 1.0,
    power: int = 1,
    ahead: float | None = None,
    squared: bool = False,
    priced: bool = True,
    centre: str = "plain",
    sign: float = 1.0,
) -> Array:
    """Follow the taught way with one thing changed; `charged` multiplies h in the values, `charge` in the row."""
    P, r, g, rho, t, price, y = given
    prices = price if priced else np.ones_like(price)
    system = np.eye(len(rho)) - g * np.einsum("sa,sat->st", y, P)
    value = np.linalg.solve(system, (y * r).sum(axis=1) - charged * t / 2 * (prices * y * y).sum(axis=1))
    occupancy = np.linalg.solve(system.T, rho)
    weights = {
        "occupancy": occupancy,
        "start": rho,
        "backwards": np.linalg.solve(system, rho),
        "per step": (1 - g) * occupancy,
    }[visits]
    row = y * y / 2 if squared else y
    slope = (
        sign * weights[:, None] * (charge * t**power * prices * row - r - (g if ahead is None else ahead) * P @ value)
    )
    centres = {
        "plain": slope.mean(axis=1, keepdims=True),
        "weighted": (y * slope).sum(axis=1, keepdims=True),
        "none": np.zeros((len(rho), 1)),
    }
    result: Array = slope - centres[centre]
    return result


def _draw_slope(rng: np.random.Generator) -> Iterator[Instance]:
    for n_states, n_actions, discount, temperature in ((4, 3, 0.9, 0.5), (6, 2, 0.95, 2.0), (5, 4, 0.6, 3.0)):
        mdp = garnet(rng, n_states, n_actions, discount)
        price, policy = rng.uniform(0.3, 3.0, size=(n_states, n_actions)), random_policy(rng, n_states, n_actions)
        label = f"{n_actions} actions, γ = {discount} and τ = {temperature}"
        yield Instance(label, (mdp.transition, mdp.reward, discount, mdp.initial, temperature, price, policy))
    fixed = np.eye(4)[rng.integers(4, size=5)]
    yield Instance("a deterministic policy", (mdp.transition, mdp.reward, 0.6, mdp.initial, 3.0, price, fixed))
    start = np.eye(5)[rng.integers(5)]
    yield Instance("a single start state", (mdp.transition, mdp.reward, 0.9, start, 1.5, price, policy))


SLOPES: Changes = {
    "Your slope is that of the return: the penalty sinks where the return rises.": {"sign": -1.0},
    "Your slope weights the states by where the agent starts, not by where it goes.": {"visits": "start"},
    "Your occupancy flows backwards: look at which index of P_π is the state one comes from.": {"visits": "backwards"},
    "Your slope is that of an average per step: the visits of your occupancy sum to 1.": {"visits": "per step"},
    "Your rows do not sum to 0.": {"centre": "none"},
    "Your rows sum to 0 when they are weighted with the policy, not as they stand.": {"centre": "weighted"},
    "Your values leave out what the policy is charged later on.": {"charged": 0.0},
    "Your values charge the policy twice what h says (where is the ½?).": {"charged": 2.0},
    "Your charge is twice what h says, in the values and in the row (where is the ½?).": {
        "charged": 2.0,
        "charge": 2.0,
    },
    "Your slope leaves out what the row itself is charged.": {"charge": 0.0},
    "Your charge for the row lacks the temperature.": {"power": 0},
    "Your charge for the row has the wrong sign: it makes a row attractive for being certain.": {"charge": -1.0},
    "Your charge for the row is the charge itself and not its derivative.": {"squared": True},
    "Your charge for the row is half of what its derivative is.": {"charge": 0.5},
    "Your slope does not know the prices c.": {"priced": False},
    "Your action values count tomorrow in full.": {"ahead": 1.0},
    "Your action values end with today's reward.": {"ahead": 0.0},
}

policy_slope = Task(_slope, _draw_slope, told(_slope_with, SLOPES))


# Task 2: the Bellman penalty's slope in x. Arguments: P₀ and P₁, r₀ and r₁, γ, ρ, τ, x, y.


def _forward(kernels: Array, rewards: Array, g: float, best: Plan) -> tuple[Array, Array]:
    """Return ∂V*(s)/∂x(k), shape (S, K), and ∂Q*(s,a)/∂x(k), shape (S, A, K): one solve for each k."""
    change = _change(kernels, rewards, g, best.value)
    at = evaluate(best.mdp, best.policy)
    value = at.solve(np.diag((best.policy * change).sum(axis=1)))
    direct = np.eye(len(value))[:, None, :] * change[:, :, None]
    return value, direct + g * best.mdp.transition @ value


def _bellman(kernels: Array, rewards: Array, g: float, rho: Array, t: float, mix: Array, y: Array) -> Array:
    """Differentiate Σρ(V* − ⟨y, Q*⟩ + τh(y)) forward, state by state."""
    best = solve(_model(kernels, rewards, g, rho, t, mix))
    value, action_value = _forward(kernels, rewards, g, best)
    result: Array = rho @ value - np.einsum("s,sa,sak->k", rho, y, action_value)
    return result


def _bellman_with(
    *given: Any,
    weights: str = "right",
    way: str = "optimal",
    later: float = 1.0,
    arriving: float | None = None,
    spread: str = "optimal",
    value: str = "optimal",
    reward: float = 1.0,
    ahead: float | None = None,
    sign: float = 1.0,
) -> Array:
    """Follow the taught way with one thing changed."""
    kernels, rewards, g, rho, t, mix, y = given
    mdp = _model(kernels, rewards, g, rho, t, mix)
    best, at = solve(mdp), evaluate(mdp, y)
    optimal = evaluate(mdp, best.policy)
    u = {
        "right": rho[:, None] * (best.policy - y),
        "visits": at.occupancy[:, None] * (best.policy - y),
        "policy": -rho[:, None] * y,
        "hard": rho[:, None] * (np.eye(y.shape[1])[best.action_value.argmax(axis=1)] - y),
    }[weights]
    arrivals = (g if arriving is None else arriving) * np.einsum("sa,sat->t", u, mdp.transition)
    z = {
        "optimal": optimal.solve(arrivals, transposed=True),
        "own": at.solve(arrivals, transposed=True),
        "backwards": optimal.solve(arrivals),
        "once": arrivals,
    }[way]
    rows = {"optimal": best.policy, "own": y, "every": np.ones_like(y)}[spread]
    mass = u + later * z[:, None] * rows
    values = {"optimal": best.value, "own": at.value}[value]
    change = _change(kernels, reward * rewards, g if ahead is None else ahead, values)
    result: Array = sign * (mass * change).sum(axis=1)
    return result


def _value_slope(kernels: Array, rewards: Array, g: float, rho: Array, t: float, mix: Array, y: Array) -> Array:
    """Return the value penalty's slope instead."""
    mdp = _model(kernels, rewards, g, rho, t, mix)
    best, at = solve(mdp), evaluate(mdp, y)
    optimal = evaluate(mdp, best.policy)
    gain = optimal.state_action_occupancy * _change(kernels, rewards, g, best.value)
    loss = at.state_action_occupancy * _change(kernels, rewards, g, at.value)
    result: Array = (gain - loss).sum(axis=1)
    return result


def _draw_bellman(rng: np.random.Generator) -> Iterator[Instance]:
    for n_states, n_actions, discount, temperature in ((4, 3, 0.9, 0.5), (6, 2, 0.95, 2.0), (5, 4, 0.6, 0.3)):
        kernels, rewards, start = _two_worlds(rng, n_states, n_actions)
        mix, policy = rng.uniform(0.1, 0.9, size=n_states), random_policy(rng, n_states, n_actions)
        label = f"{n_actions} actions, γ = {discount} and τ = {temperature}"
        yield Instance(label, (kernels, rewards, discount, start, temperature, mix, policy))
    fixed = np.eye(4)[rng.integers(4, size=5)]
    yield Instance("a deterministic policy", (kernels, rewards, 0.9, start, 0.5, mix, fixed))
    single = np.eye(5)[rng.integers(5)]
    yield Instance("a single start state", (kernels, rewards, 0.9, single, 0.5, mix, policy))
    corners = rng.integers(2, size=5).astype(float)
    yield Instance("one world or the other in each state", (kernels, rewards, 0.9, start, 0.5, corners, policy))
    yield Instance("a small temperature", (kernels, rewards, 0.9, start, 0.02, mix, policy))


BELLMAN: Changes = {
    "Your slope holds the values of later states fixed, as if x changed the first step only.": {"later": 0.0},
    "Your slope follows a change for one more step and no further.": {"way": "once"},
    "Your adjoint lets the right policy move, but spreads the mass over the actions of y.": {"spread": "own"},
    "Your adjoint puts its mass in full on every action.": {"spread": "every"},
    "Your adjoint flows forwards in time (which solve answers to a given weight on the values?).": {"way": "backwards"},
    "Your adjoint starts a step too early: what arrives tomorrow counts as if it were today.": {"arriving": 1.0},
    "Your slope has the wrong sign.": {"sign": -1.0},
    "Your slope weights the states by the visits of y: those are the value penalty's weights.": {"weights": "visits"},
    "Your slope is that of g_B without its minimum, which moves with x as well.": {"weights": "policy"},
    "Your best row does not know the temperature.": {"weights": "hard"},
    "Your slope looks ahead with the values of y.": {"value": "own"},
    "Your slope knows that x changes the reward, but not that it changes the kernel.": {"ahead": 0.0},
    "Your slope knows that x changes the kernel, but not that it changes the reward.": {"reward": 0.0},
    "Your change of the kernel is not discounted.": {"ahead": 1.0},
}

ALONG_Y = "Your adjoint solves with P_y (whose values are Q*, and along whose way do they depend on x?)."

bellman_slope = ByHand(
    _bellman,
    _draw_bellman,
    (
        Mistake("Your slope is that of the value penalty.", _value_slope),
        Mistake(ALONG_Y, partial(_bellman_with, way="own")),
        Mistake(ALONG_Y, partial(_bellman_with, way="own", spread="own")),
        *told(_bellman_with, BELLMAN),
    ),
    without=("bellman_penalty", "action_value_adjoint"),
)


# Task 3: two tangents at a tie. Arguments: P₀ and P₁, r₀ and r₁, γ, ρ, x (one number).

TIE = 1e-7


def _tied(kernels: Array, rewards: Array, g: float, rho: Array, mix: float) -> tuple[MDP, Plan, np.ndarray]:
    """Return the model, its optimum, and which actions are optimal in each state."""
    mdp = _model(kernels, rewards, g, rho, 0.0, np.full(len(rho), mix))
    best = solve(mdp)
    return mdp, best, best.action_value >= best.action_value.max(axis=1, keepdims=True) - TIE


def _tangents(kernels: Array, rewards: Array, g: float, rho: Array, mix: float) -> Array:
    """Differentiate the return of every deterministic optimal policy; take the least and the largest slope."""
    mdp, _, ties = _tied(kernels, rewards, g, rho, mix)
    n = len(rho)
    chosen = np.array(list(product(*(np.flatnonzero(row) for row in ties))))  # (N, S)
    states = np.arange(n)
    system = np.eye(n) - g * mdp.transition[states, chosen]
    value = np.linalg.solve(system, mdp.reward[states, chosen][:, :, None])
    moved = (kernels[1] - kernels[0])[states, chosen]
    change = (rewards[1] - rewards[0])[states, chosen][:, :, None] + g * moved @ value
    slopes = np.linalg.solve(system, change)[:, :, 0] @ rho
    return np.array([slopes.min(), slopes.max()])


def _restricted(mdp: MDP, ties: np.ndarray, gain: Array) -> tuple[float, float]:
    """Return the least and the largest return of `gain` over the policies that play only the marked actions."""
    actions = np.where(ties, np.arange(ties.shape[1]), ties.argmax(axis=1)[:, None])
    states = np.arange(mdp.n_states)[:, None]
    ways, gain = mdp.transition[states, actions], gain[states, actions]
    least, largest = (solve(MDP(ways, sign * gain, mdp.discount, mdp.initial)) for sign in (-1.0, 1.0))
    return -least.expected_return, largest.expected_return


def _tangents_with(
    *given: Any, actions: str = "tied", reward: float = 1.0, ahead: float | None = None, value: str = "mixed"
) -> Array:
    """Follow the taught way with one thing changed."""
    kernels, rewards, g, rho, mix = given
    mdp, best, ties = _tied(kernels, rewards, g, rho, mix)
    values = {"mixed": best.value, "first": solve(MDP(kernels[0], rewards[0], g, rho)).value}[value]
    gain = _change(kernels, reward * rewards, g if ahead is None else ahead, values)
    return np.array(_restricted(mdp, ties if actions == "tied" else np.ones_like(ties), gain))


def _short_sighted(kernels: Array, rewards: Array, g: float, rho: Array, mix: float, *, way: str) -> Array:
    """Let each state choose the tied action whose own change is least or largest."""
    mdp, best, ties = _tied(kernels, rewards, g, rho, mix)
    gain = _change(kernels, rewards, g, best.value)
    ends = []
    for sign in (-1.0, 1.0):
        chosen = np.where(ties, sign * gain, -np.inf).argmax(axis=1)
        policy = np.eye(gain.shape[1])[chosen]
        weights = {
            "followed": evaluate(mdp, policy).occupancy,
            "one": evaluate(mdp, best.policy).occupancy,
            "start": rho,
        }[way]
        ends.append(float(weights @ (policy * gain).sum(axis=1)))
    return np.array(ends)


def _draw_ties(rng: np.random.Generator) -> Iterator[Instance]:
    for n_states, n_actions, discount in ((4, 3, 0.9), (6, 2, 0.95), (5, 3, 0.6)):
        ties = rng.random((n_states, n_actions)) < 0.7
        ties[np.arange(n_states), rng.integers(n_actions, size=n_states)] = True
        ties[:2] = True
        label = f"ties in several states, {n_actions} actions and γ = {discount}"
        yield Instance(label, _with_ties(rng, discount, ties))
    single = np.eye(3, dtype=bool)[rng.integers(3, size=5)]
    yield Instance("no ties at all", _with_ties(rng, 0.9, single))
    one = single.copy()
    one[rng.integers(5)] = True
    yield Instance("a tie in one state", _with_ties(rng, 0.9, one))
    kernels, rewards, g, rho, mix = _with_ties(rng, 0.9, one)
    twin = single.argmax(axis=1)
    kernels = np.concatenate([kernels, kernels[:, np.arange(5), twin][:, :, None]], axis=2)
    rewards = np.concatenate([rewards, rewards[:, np.arange(5), twin][:, :, None]], axis=2)
    yield Instance("a tie in one state, and everywhere a twin of an optimal action", (kernels, rewards, g, rho, mix))


def _with_ties(rng: np.random.Generator, discount: float, ties: np.ndarray) -> tuple[Array, Array, float, Array, float]:
    """Draw two worlds whose mixture at some x has the marked actions optimal, and those only."""
    n_states, n_actions = ties.shape
    kernels, rewards, start = _two_worlds(rng, n_states, n_actions)
    mix = float(rng.uniform(0.3, 0.7))
    value: Array = 2.0 * rng.normal(size=(n_states,))
    ahead = discount * _mixed(kernels, np.full(n_states, mix)) @ value
    wanted = value[:, None] - ahead - np.where(ties, 0.0, rng.uniform(0.3, 1.0, size=ties.shape))
    rewards[0] = (wanted - mix * rewards[1]) / (1 - mix)
    return kernels, rewards, discount, start, mix


SHORT_SIGHTED: Changes = {
    "Your slopes let each state choose for itself, without regard to where the choice leads.": {"way": "followed"},
    "Your slopes use the visits of one optimal policy for all of them.": {"way": "one"},
    "Your slopes know the first step only.": {"way": "start"},
}

TANGENTS: Changes = {
    "Your slopes belong to policies that are not optimal at x.": {"actions": "all"},
    "Your slopes know that x changes the reward, but not that it changes the kernel.": {"ahead": 0.0},
    "Your slopes know that x changes the kernel, but not that it changes the reward.": {"reward": 0.0},
    "Your change of the kernel is not discounted.": {"ahead": 1.0},
    "Your slopes look ahead with the values of the first world, not with those at x.": {"value": "first"},
}

two_tangents = Task(
    _tangents,
    _draw_ties,
    (
        Mistake(
            "Your two slopes are the same at every tie, as if V* had one tangent there.",
            lambda *given: np.repeat(_tangents(*given).mean(), 2),
            lambda found, *given: abs(found[0] - found[1]) <= 1e-7 * max(np.abs(found).max(), 1.0),
        ),
        Mistake("Your two slopes are exchanged.", lambda *given: _tangents(*given)[::-1]),
        Mistake(
            "Your left slope is that of going left, with x as the distance gone: as a slope in x it changes its sign.",
            lambda *given: _tangents(*given) * [-1.0, 1.0],
        ),
        *told(_tangents_with, TANGENTS),
        *told(_short_sighted, SHORT_SIGHTED),
    ),
)


# Task 4: the hypergradient. Arguments: P₀ and P₁, r₀ and r₁, the leader's r₀ and r₁, γ, ρ, τ, x.


def _hyper(kernels: Array, rewards: Array, upper: Array, g: float, rho: Array, t: float, mix: Array) -> Array:
    """Differentiate −V_l^{π*(x)}(ρ) forward: values, action values, policy, and then the leader's values."""
    best = solve(_model(kernels, rewards, g, rho, t, mix))
    at = evaluate(best.mdp, best.policy)
    _, action_value = _forward(kernels, rewards, g, best)  # (S, A, K)
    pi = best.policy[:, :, None]
    turned = pi * (action_value - (pi * action_value).sum(axis=1, keepdims=True)) / t
    paid = _mixed(upper, mix)
    side = at.side_value(paid)
    ahead = backup(best.mdp, side, paid)
    change = (best.policy * _change(kernels, upper, g, side)).sum(axis=1)
    moved = at.solve(np.diag(change) + np.einsum("sak,sa->sk", turned, ahead))
    return -rho @ moved


def _hyper_with(
    *given: Any,
    direct: float = 1.0,
    response: float = 1.0,
    power: int = 1,
    softmax: str = "right",
    way: str = "right",
    table: str = "leader",
    visits: str = "occupancy",
    value: str = "optimal",
    channel: str = "follower",
    arriving: float | None = None,
    direct_ahead: float | None = None,
    direct_reward: float = 1.0,
) -> Array:
    """Follow the taught way with one thing changed."""
    kernels, rewards, upper, g, rho, t, mix = given
    mdp = _model(kernels, rewards, g, rho, t, mix)
    best = solve(mdp)
    at = evaluate(mdp, best.policy)
    paid = _mixed(upper, mix)
    side = at.side_value(paid)
    values = {"leader": backup(mdp, side, paid), "follower": best.action_value, "reward": paid}[table]
    slope = -{"occupancy": at.occupancy, "start": rho}[visits][:, None] * values
    taken = {"right": (best.policy * slope).sum(axis=1, keepdims=True), "uncentred": 0.0, "own": best.policy * slope}
    u = best.policy * (slope - taken[softmax]) / t**power
    arrivals = (g if arriving is None else arriving) * np.einsum("sa,sat->t", u, mdp.transition)
    later = np.zeros_like(rho) if way == "none" else at.solve(arrivals, transposed=way == "right")
    mass = u + later[:, None] * best.policy
    ahead = {"optimal": best.value, "leader": side}[value]
    through = (mass * _change(kernels, {"follower": rewards, "leader": upper}[channel], g, ahead)).sum(axis=1)
    moved = _change(kernels, direct_reward * upper, g if direct_ahead is None else direct_ahead, side)
    result: Array = response * through - direct * (at.state_action_occupancy * moved).sum(axis=1)
    return result


def _draw_hyper(rng: np.random.Generator) -> Iterator[Instance]:
    for n_states, n_actions, discount, temperature in ((4, 3, 0.9, 0.5), (6, 2, 0.95, 2.0), (5, 4, 0.6, 0.3)):
        kernels, rewards, start = _two_worlds(rng, n_states, n_actions)
        upper = rng.normal(size=rewards.shape)
        mix = rng.uniform(0.1, 0.9, size=n_states)
        label = f"{n_actions} actions, γ = {discount} and τ = {temperature}"
        yield Instance(label, (kernels, rewards, upper, discount, start, temperature, mix))
    single = np.eye(5)[rng.integers(5)]
    yield Instance("a single start state", (kernels, rewards, upper, 0.9, single, 0.5, mix))
    corners = rng.integers(2, size=5).astype(float)
    yield Instance("one world or the other in each state", (kernels, rewards, upper, 0.9, start, 0.5, corners))
    yield Instance("a small temperature", (kernels, rewards, upper, 0.9, start, 0.05, mix))


HYPER: Changes = {
    "Your gradient keeps the follower's policy as it is, whatever x becomes.": {"response": 0.0},
    "Your gradient sees x only through the follower's policy, although x changes the leader's world too.": {
        "direct": 0.0
    },
    "Your follower answers as fast at every temperature.": {"power": 0},
    "Your follower answers faster the larger the temperature is.": {"power": -1},
    "Your follower's rows do not keep their sum when they move.": {"softmax": "uncentred"},
    "Your follower moves each probability by itself; what one action gains, others lose.": {"softmax": "own"},
    "Your follower's action values change by the first step only; x changes its later values too.": {"way": "none"},
    "Your adjoint flows forwards in time (which solve answers to a given weight on the values?).": {"way": "backwards"},
    "Your adjoint starts a step too early: what arrives tomorrow counts as if it were today.": {"arriving": 1.0},
    "Your slope in the policy uses the follower's action values (who is it that gains or loses by an action?).": {
        "table": "follower"
    },
    "Your slope in the policy looks at the leader's reward of today only.": {"table": "reward"},
    "Your slope in the policy weights the states by where the agent starts, not by where it goes.": {"visits": "start"},
    "Your follower looks ahead with the leader's values.": {"value": "leader"},
    "Your direct part leaves out that x moves the leader's kernel.": {"direct_ahead": 0.0},
    "Your direct part leaves out that x changes the leader's reward.": {"direct_reward": 0.0},
    "Your direct part does not discount what the kernel's change brings.": {"direct_ahead": 1.0},
}

OPPOSITE = "Your two parts have opposite signs, so one of them is that of the return."
LEADERS_REWARD = "Your follower answers to the leader's reward."

hypergradient = ByHand(
    _hyper,
    _draw_hyper,
    (
        Mistake("Your gradient is that of the leader's return: f is minus it.", lambda *given: -_hyper_with(*given)),
        Mistake(OPPOSITE, partial(_hyper_with, response=-1.0)),
        Mistake(OPPOSITE, partial(_hyper_with, direct=-1.0)),
        Mistake(LEADERS_REWARD, partial(_hyper_with, channel="leader")),
        Mistake(LEADERS_REWARD, partial(_hyper_with, channel="leader", value="leader")),
        *told(_hyper_with, HYPER),
    ),
    without=("hypergradient", "minus_return", "action_value_adjoint"),
)
