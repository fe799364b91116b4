"""Problem set 06: slopes in the policy and in the model, two tangents at a tie, the exact hypergradient.

In tasks 2 to 4 two worlds are mixed: r_x = (1−x) r₀ + x r₁ and P_x = (1−x) P₀ + x P₁, x a number in each state or one
for all. Each `Task` is called with the student's function, and with a seed for other instances.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np

from ..evaluation import Evaluation, backup, evaluate
from ..models import MDP
from ..planning import Plan, solve
from ..simplex import random_policy
from ..typing import Array
from ..worlds import random_mdp
from . import Instance, Mistake, Task


def _garnet(rng: np.random.Generator, n_states: int, n_actions: int, discount: float) -> MDP:
    """Draw a sparse model with rewards of both signs and a start that is not uniform."""
    mdp = random_mdp(rng, n_states, n_actions, discount, branching=min(2, n_states))
    reward = rng.normal(size=(n_states, n_actions))
    return MDP(mdp.transition, reward, discount, rng.dirichlet(np.ones(n_states)))


def _two_worlds(rng: np.random.Generator, n_states: int, n_actions: int) -> tuple[Array, Array, Array]:
    """Draw two kernels (2, S, A, S), two rewards (2, S, A) and a start."""
    drawn = [_garnet(rng, n_states, n_actions, 0.5) for _ in range(2)]
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
    P: Array,
    r: Array,
    g: float,
    rho: Array,
    t: float,
    price: Array,
    y: Array,
    *,
    visits: str = "occupancy",
    charged: bool = True,
    charge: float = 1.0,
    ahead: float | None = None,
    squared: bool = False,
    priced: bool = True,
    centre: str = "plain",
    sign: float = 1.0,
) -> Array:
    """Follow the taught way with one thing changed."""
    prices = price if priced else np.ones_like(price)
    system = np.eye(len(rho)) - g * np.einsum("sa,sat->st", y, P)
    paid = (y * r).sum(axis=1) - (t / 2 * (prices * y * y).sum(axis=1) if charged else 0.0)
    value = np.linalg.solve(system, paid)
    occupancy = np.linalg.solve(system.T, rho)
    weights = {
        "occupancy": occupancy,
        "start": rho,
        "backwards": np.linalg.solve(system, rho),
        "per step": (1 - g) * occupancy,
    }[visits]
    row = y * y / 2 if squared else y
    slope = sign * weights[:, None] * (charge * t * prices * row - r - (g if ahead is None else ahead) * P @ value)
    centres = {
        "plain": slope.mean(axis=1, keepdims=True),
        "weighted": (y * slope).sum(axis=1, keepdims=True),
        "none": np.zeros((len(rho), 1)),
    }
    result: Array = slope - centres[centre]
    return result


def _draw_slope(rng: np.random.Generator) -> Iterator[Instance]:
    for n_states, n_actions, discount, temperature in ((4, 3, 0.9, 0.5), (6, 2, 0.95, 2.0), (5, 4, 0.6, 3.0)):
        mdp = _garnet(rng, n_states, n_actions, discount)
        price, policy = rng.uniform(0.3, 3.0, size=(n_states, n_actions)), random_policy(rng, n_states, n_actions)
        label = f"{n_actions} actions, γ = {discount} and τ = {temperature}"
        yield Instance(label, (mdp.transition, mdp.reward, discount, mdp.initial, temperature, price, policy))
    fixed = np.eye(4)[rng.integers(4, size=5)]
    yield Instance("a deterministic policy", (mdp.transition, mdp.reward, 0.6, mdp.initial, 3.0, price, fixed))
    start = np.eye(5)[rng.integers(5)]
    yield Instance("a single start state", (mdp.transition, mdp.reward, 0.9, start, 1.5, price, policy))


policy_slope = Task(
    _slope,
    _draw_slope,
    (
        Mistake(
            "Your slope is that of the return: the penalty sinks where the return rises.",
            lambda *given: _slope_with(*given, sign=-1.0),
        ),
        Mistake(
            "Your slope weights the states by where the agent starts, not by where it goes.",
            lambda *given: _slope_with(*given, visits="start"),
        ),
        Mistake(
            "Your occupancy flows backwards: look at which index of P_π is the state one comes from.",
            lambda *given: _slope_with(*given, visits="backwards"),
        ),
        Mistake(
            "Your slope is that of an average per step: the visits of your occupancy sum to 1.",
            lambda *given: _slope_with(*given, visits="per step"),
        ),
        Mistake(
            "Your rows do not sum to 0.",
            lambda *given: _slope_with(*given, centre="none"),
        ),
        Mistake(
            "Your rows sum to 0 when they are weighted with the policy, not as they stand.",
            lambda *given: _slope_with(*given, centre="weighted"),
        ),
        Mistake(
            "Your values leave out what the policy is charged later on.",
            lambda *given: _slope_with(*given, charged=False),
        ),
        Mistake(
            "Your slope leaves out what the row itself is charged.",
            lambda *given: _slope_with(*given, charge=0.0),
        ),
        Mistake(
            "Your charge for the row lacks the temperature.",
            lambda *given: _slope_with(*given, charge=1 / given[4]),
        ),
        Mistake(
            "Your charge for the row has the wrong sign: it makes a row attractive for being certain.",
            lambda *given: _slope_with(*given, charge=-1.0),
        ),
        Mistake(
            "Your charge for the row is the charge itself and not its derivative.",
            lambda *given: _slope_with(*given, squared=True),
        ),
        Mistake(
            "Your charge for the row is half of what its derivative is.",
            lambda *given: _slope_with(*given, charge=0.5),
        ),
        Mistake(
            "Your slope does not know the prices c.",
            lambda *given: _slope_with(*given, priced=False),
        ),
        Mistake(
            "Your action values count tomorrow in full.",
            lambda *given: _slope_with(*given, ahead=1.0),
        ),
        Mistake(
            "Your action values end with today's reward.",
            lambda *given: _slope_with(*given, ahead=0.0),
        ),
    ),
)


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
    kernels: Array,
    rewards: Array,
    g: float,
    rho: Array,
    t: float,
    mix: Array,
    y: Array,
    *,
    weights: str = "right",
    way: str = "optimal",
    later: float = 1.0,
    arriving: float | None = None,
    spread: str = "optimal",
    value: str = "optimal",
    reward: float = 1.0,
    kernel: float = 1.0,
    sign: float = 1.0,
) -> Array:
    """Follow the taught way with one thing changed."""
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
    ahead = {"optimal": best.value, "own": at.value}[value]
    change = _change(kernels, rewards, g, ahead)
    dr = rewards[1] - rewards[0]
    result: Array = sign * (mass * (reward * dr + kernel * (change - dr))).sum(axis=1)
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


bellman_slope = Task(
    _bellman,
    _draw_bellman,
    (
        Mistake(
            "Your slope holds the values of later states fixed, as if x changed the first step only.",
            lambda *given: _bellman_with(*given, later=0.0),
        ),
        Mistake(
            "Your slope follows a change for one more step and no further.",
            lambda *given: _bellman_with(*given, way="once"),
        ),
        Mistake(
            "Your adjoint solves with P_y (whose values are Q*, and along whose way do they depend on x?).",
            lambda *given: _bellman_with(*given, way="own"),
        ),
        Mistake(
            "Your adjoint solves with P_y (whose values are Q*, and along whose way do they depend on x?).",
            lambda *given: _bellman_with(*given, way="own", spread="own"),
        ),
        Mistake(
            "Your adjoint lets the right policy move, but spreads the mass over the actions of y.",
            lambda *given: _bellman_with(*given, spread="own"),
        ),
        Mistake(
            "Your adjoint puts its mass in full on every action.",
            lambda *given: _bellman_with(*given, spread="every"),
        ),
        Mistake(
            "Your adjoint flows forwards in time (which solve answers to a given weight on the values?).",
            lambda *given: _bellman_with(*given, way="backwards"),
        ),
        Mistake(
            "Your adjoint starts a step too early: what arrives tomorrow counts as if it were today.",
            lambda *given: _bellman_with(*given, arriving=1.0),
        ),
        Mistake(
            "Your slope has the wrong sign.",
            lambda *given: _bellman_with(*given, sign=-1.0),
        ),
        Mistake(
            "Your slope weights the states by the visits of y: those are the value penalty's weights.",
            lambda *given: _bellman_with(*given, weights="visits"),
        ),
        Mistake(
            "Your slope is that of the value penalty.",
            _value_slope,
        ),
        Mistake(
            "Your slope is that of g_B without its minimum, which moves with x as well.",
            lambda *given: _bellman_with(*given, weights="policy"),
        ),
        Mistake(
            "Your best row does not know the temperature.",
            lambda *given: _bellman_with(*given, weights="hard"),
        ),
        Mistake(
            "Your slope looks ahead with the values of y.",
            lambda *given: _bellman_with(*given, value="own"),
        ),
        Mistake(
            "Your slope knows that x changes the reward, but not that it changes the kernel.",
            lambda *given: _bellman_with(*given, kernel=0.0),
        ),
        Mistake(
            "Your slope knows that x changes the kernel, but not that it changes the reward.",
            lambda *given: _bellman_with(*given, reward=0.0),
        ),
        Mistake(
            "Your change of the kernel is not discounted.",
            lambda *given: _bellman_with(*given, kernel=1 / given[2]),
        ),
    ),
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
    first = ties.argmax(axis=1)
    actions = np.where(ties, np.arange(ties.shape[1]), first[:, None])
    states = np.arange(mdp.n_states)[:, None]
    ends = [
        sign
        * solve(
            MDP(mdp.transition[states, actions], sign * gain[states, actions], mdp.discount, mdp.initial)
        ).expected_return
        for sign in (-1.0, 1.0)
    ]
    return ends[0], ends[1]


def _tangents_with(
    kernels: Array,
    rewards: Array,
    g: float,
    rho: Array,
    mix: float,
    *,
    actions: str = "tied",
    reward: float = 1.0,
    kernel: float = 1.0,
    value: str = "mixed",
) -> Array:
    """Follow the taught way with one thing changed."""
    mdp, best, ties = _tied(kernels, rewards, g, rho, mix)
    values = {"mixed": best.value, "first": solve(MDP(kernels[0], rewards[0], g, rho)).value}[value]
    dr = rewards[1] - rewards[0]
    gain = reward * dr + kernel * (_change(kernels, rewards, g, values) - dr)
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


two_tangents = Task(
    _tangents,
    _draw_ties,
    (
        Mistake(
            "Your two slopes are the same at every tie, as if V* had one tangent there.",
            lambda *given: np.repeat(_tangents(*given).mean(), 2),
            lambda found, *given: abs(found[0] - found[1]) <= 1e-7 * max(np.abs(found).max(), 1.0),
        ),
        Mistake(
            "Your two slopes are exchanged.",
            lambda *given: _tangents(*given)[::-1],
        ),
        Mistake(
            "Your left slope is that of going left, with x as the distance gone: as a slope in x it changes its sign.",
            lambda *given: _tangents(*given) * [-1.0, 1.0],
        ),
        Mistake(
            "Your slopes belong to policies that are not optimal at x.",
            lambda *given: _tangents_with(*given, actions="all"),
        ),
        Mistake(
            "Your slopes let each state choose for itself, without regard to where the choice leads.",
            lambda *given: _short_sighted(*given, way="followed"),
        ),
        Mistake(
            "Your slopes use the visits of one optimal policy for all of them.",
            lambda *given: _short_sighted(*given, way="one"),
        ),
        Mistake(
            "Your slopes know the first step only.",
            lambda *given: _short_sighted(*given, way="start"),
        ),
        Mistake(
            "Your slopes know that x changes the reward, but not that it changes the kernel.",
            lambda *given: _tangents_with(*given, kernel=0.0),
        ),
        Mistake(
            "Your slopes know that x changes the kernel, but not that it changes the reward.",
            lambda *given: _tangents_with(*given, reward=0.0),
        ),
        Mistake(
            "Your change of the kernel is not discounted.",
            lambda *given: _tangents_with(*given, kernel=1 / given[2]),
        ),
        Mistake(
            "Your slopes look ahead with the values of the first world, not with those at x.",
            lambda *given: _tangents_with(*given, value="first"),
        ),
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
    kernels: Array,
    rewards: Array,
    upper: Array,
    g: float,
    rho: Array,
    t: float,
    mix: Array,
    *,
    direct: float = 1.0,
    response: float = 1.0,
    centred: bool = True,
    way: str = "right",
    table: str = "leader",
    visits: str = "occupancy",
    value: str = "optimal",
    channel: str = "follower",
    arriving: float | None = None,
    direct_kernel: float = 1.0,
    direct_reward: float = 1.0,
) -> Array:
    """Follow the taught way with one thing changed."""
    mdp = _model(kernels, rewards, g, rho, t, mix)
    best = solve(mdp)
    at = evaluate(mdp, best.policy)
    paid = _mixed(upper, mix)
    side = at.side_value(paid)
    values = {"leader": backup(mdp, side, paid), "follower": best.action_value, "reward": paid}[table]
    slope = -{"occupancy": at.occupancy, "start": rho}[visits][:, None] * values
    mean = (best.policy * slope).sum(axis=1, keepdims=True) if centred else 0.0
    u = best.policy * (slope - mean) / t
    mass = u + _later(at, u, g if arriving is None else arriving, way)
    ahead = {"optimal": best.value, "leader": side}[value]
    through = (mass * _change(kernels, {"follower": rewards, "leader": upper}[channel], g, ahead)).sum(axis=1)
    dr = upper[1] - upper[0]
    moved = _change(kernels, upper, g, side) - dr
    gain = (at.state_action_occupancy * (direct_reward * dr + direct_kernel * moved)).sum(axis=1)
    result: Array = response * through - direct * gain
    return result


def _later(at: Evaluation, u: Array, g: float, way: str) -> Array:
    arrivals = g * np.einsum("sa,sat->t", u, at.mdp.transition)
    z = {
        "right": at.solve(arrivals, transposed=True),
        "backwards": at.solve(arrivals),
        "none": np.zeros_like(arrivals),
    }[way]
    result: Array = z[:, None] * at.policy
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


hypergradient = Task(
    _hyper,
    _draw_hyper,
    (
        Mistake(
            "Your gradient keeps the follower's policy as it is, whatever x becomes.",
            lambda *given: _hyper_with(*given, response=0.0),
        ),
        Mistake(
            "Your gradient sees x only through the follower's policy, although x changes the leader's world too.",
            lambda *given: _hyper_with(*given, direct=0.0),
        ),
        Mistake(
            "Your gradient is that of the leader's return: f is minus it.",
            lambda *given: -_hyper_with(*given),
        ),
        Mistake(
            "Your two parts have opposite signs, so one of them is that of the return.",
            lambda *given: _hyper_with(*given, response=-1.0),
        ),
        Mistake(
            "Your two parts have opposite signs, so one of them is that of the return.",
            lambda *given: _hyper_with(*given, direct=-1.0),
        ),
        Mistake(
            "Your follower answers as fast at every temperature.",
            lambda *given: _hyper_with(*given, response=given[5]),
        ),
        Mistake(
            "Your follower answers faster the larger the temperature is.",
            lambda *given: _hyper_with(*given, response=given[5] ** 2),
        ),
        Mistake(
            "Your follower's rows do not keep their sum when they move.",
            lambda *given: _hyper_with(*given, centred=False),
        ),
        Mistake(
            "Your follower's action values change by the first step only; x changes its later values too.",
            lambda *given: _hyper_with(*given, way="none"),
        ),
        Mistake(
            "Your adjoint flows forwards in time (which solve answers to a given weight on the values?).",
            lambda *given: _hyper_with(*given, way="backwards"),
        ),
        Mistake(
            "Your adjoint starts a step too early: what arrives tomorrow counts as if it were today.",
            lambda *given: _hyper_with(*given, arriving=1.0),
        ),
        Mistake(
            "Your slope in the policy uses the follower's action values (who is it that gains or loses by an action?).",
            lambda *given: _hyper_with(*given, table="follower"),
        ),
        Mistake(
            "Your slope in the policy looks at the leader's reward of today only.",
            lambda *given: _hyper_with(*given, table="reward"),
        ),
        Mistake(
            "Your slope in the policy weights the states by where the agent starts, not by where it goes.",
            lambda *given: _hyper_with(*given, visits="start"),
        ),
        Mistake(
            "Your follower looks ahead with the leader's values.",
            lambda *given: _hyper_with(*given, value="leader"),
        ),
        Mistake(
            "Your follower answers to the leader's reward.",
            lambda *given: _hyper_with(*given, channel="leader"),
        ),
        Mistake(
            "Your follower answers to the leader's reward.",
            lambda *given: _hyper_with(*given, channel="leader", value="leader"),
        ),
        Mistake(
            "Your direct part leaves out that x moves the leader's kernel.",
            lambda *given: _hyper_with(*given, direct_kernel=0.0),
        ),
        Mistake(
            "Your direct part leaves out that x changes the leader's reward.",
            lambda *given: _hyper_with(*given, direct_reward=0.0),
        ),
        Mistake(
            "Your direct part does not discount what the kernel's change brings.",
            lambda *given: _hyper_with(*given, direct_kernel=1 / given[3]),
        ),
    ),
)
