"""Problem set 08: one step of PBRL, the gradient mapping, the weights for which descent arrives.

Each `Task` is called with the student's function, and with a seed for other instances.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, xlogy

from ..models import MDP
from ..planning import solve
from ..simplex import project, random_policy
from ..typing import Array
from ..worlds import random_mdp
from . import Instance, Mistake, Task
from .shared import mixed, visited, worth_of

# Task 1: one step of PBRL. Arguments: P₀ and P₁, r₀ and r₁, q₀ and q₁, γ, ρ, τ, λ, η, α, x, y, π̂.


def _charge(policy: Array) -> Array:
    """Return h(y_s) of each row; where the policy is complex, all its entries are positive."""
    terms = policy * np.log(policy) if np.iscomplexobj(policy) else xlogy(policy, policy)
    result: Array = terms.sum(axis=-1)
    return result


def _penalized(
    kernels: Array,
    rewards: Array,
    upper: Array,
    g: float,
    rho: Array,
    t: float,
    weight: float,
    mix: Array,
    y: Array,
    oracle: Array,
) -> Array:
    """Return F_λ with the oracle's policy in place of π*, for a stack of x or of y."""
    kernel, reward, gain = (mixed(tables, mix) for tables in (kernels, rewards, upper))
    own = worth_of(kernel, (y * reward).sum(axis=-1) - t * _charge(y), g, y)
    best = worth_of(kernel, (oracle * reward).sum(axis=-1) - t * _charge(oracle), g, oracle)
    leader = worth_of(kernel, (y * gain).sum(axis=-1), g, y)
    result: Array = (weight * (best - own) - leader) @ rho
    return result


def _pbrl_step(
    kernels: Array,
    rewards: Array,
    upper: Array,
    g: float,
    rho: Array,
    t: float,
    weight: float,
    eta: float,
    alpha: float,
    mix: Array,
    y: Array,
    oracle: Array,
) -> Array:
    """Differentiate F by complex steps, entry by entry, and take the two steps as they are defined."""
    data = (kernels, rewards, upper, g, rho, t, weight)
    entries = np.eye(y.size).reshape(-1, *y.shape)
    slope = _penalized(*data, mix, y + 1e-30j * entries, oracle).imag.reshape(y.shape) / 1e-30
    visits = visited(mixed(kernels, mix), g, rho, y)
    new = np.exp(log_softmax(np.log(y) - eta / (weight * t * visits[:, None]) * slope, axis=1))
    gradient = _penalized(*data, mix + 1e-30j * np.eye(len(mix)), new, oracle).imag / 1e-30
    return np.column_stack([new, np.clip(mix - alpha * gradient, 0.0, 1.0)])


def _step_with(
    kernels: Array,
    rewards: Array,
    upper: Array,
    g: float,
    rho: Array,
    t: float,
    weight: float,
    eta: float,
    alpha: float,
    mix: Array,
    y: Array,
    oracle: Array,
    *,
    tilt: float | None = None,
    size: float | None = None,
    stay: float = 1.0,
    counted: bool = False,
    ahead: float | None = None,
    values: str = "own",
    charged: bool = False,
    simultaneous: bool = False,
    parts: tuple[float, float, float] | None = None,
    follow: str = "own",
    dynamics: bool = True,
    from_start: bool = False,
    solved: bool = False,
    finish: Callable[[Array], Array] | None = None,
) -> Array:
    """Follow the taught way with one thing changed; `parts` are the factors of f, V^π̂ and V^y in x's slope."""
    kernel, reward, gain = (mixed(tables, mix) for tables in (kernels, rewards, upper))
    later = g if ahead is None else ahead
    if solved:
        oracle = solve(MDP(kernel, reward, g, rho, t)).policy

    def own_value(policy: Array) -> Array:
        return worth_of(kernel, (policy * reward).sum(axis=1) - t * _charge(policy), g, policy)

    def leader_value(policy: Array) -> Array:
        return worth_of(kernel, (policy * gain).sum(axis=1) - (t * _charge(policy) if charged else 0.0), g, policy)

    q = reward + later * kernel @ own_value(oracle if values == "oracle" else y)
    upper_q = gain + later * kernel @ leader_value(y)
    gains = q + (1 / weight if tilt is None else tilt) * upper_q - stay * t * np.log(y)
    gains = gains * visited(kernel, g, rho, y)[:, None] if counted else gains
    new = np.exp(log_softmax(np.log(y) + (eta / t if size is None else size) * gains, axis=1))

    def slope(policy: Array, tables: Array, value: Array) -> Array:
        change = tables[1] - tables[0] + (later * (kernels[1] - kernels[0]) @ value if dynamics else 0.0)
        weights = rho if from_start else visited(kernel, g, rho, policy)
        result: Array = weights * (policy * change).sum(axis=1)
        return result

    at = y if simultaneous else new
    value = own_value(oracle if follow == "oracle" else at)
    of_f, of_oracle, of_policy = (1.0, weight, weight) if parts is None else parts
    gradient = of_oracle * slope(oracle, rewards, own_value(oracle)) - of_policy * slope(at, rewards, value)
    gradient = gradient - of_f * slope(at, upper, leader_value(at))
    moved = mix - alpha * gradient
    return np.column_stack([new, np.clip(moved, 0.0, 1.0) if finish is None else finish(moved)])


def _draw_step(rng: np.random.Generator) -> Iterator[Instance]:
    def instance(
        label: str,
        n_states: int,
        n_actions: int,
        g: float,
        t: float,
        weight: float,
        eta: float,
        reach: float = 0.25,
        mix: Array | None = None,
        level: float = 0.0,
    ) -> Instance:
        drawn = [random_mdp(rng, n_states, n_actions, 0.5, branching=2).transition for _ in range(2)]
        rewards, upper = rng.normal(size=(2, 2, n_states, n_actions))
        rewards = rewards + level
        rho = rng.dirichlet(np.ones(n_states))
        mix = rng.uniform(0.3, 0.7, n_states) if mix is None else mix
        y, oracle = (random_policy(rng, n_states, n_actions) for _ in range(2))
        y = 0.9 * y + 0.1 / n_actions
        data = (np.stack(drawn), rewards, upper, g, rho, t, weight, eta)
        whole = _step_with(*data, 1.0, mix, y, oracle, finish=lambda moved: moved)[:, -1]
        return Instance(label, (*data, reach / float(np.abs(mix - whole).max()), mix, y, oracle))

    yield instance("γ = 0.9, τ = 0.5 and λ = 3", 4, 3, 0.9, 0.5, 3.0, 0.4)
    yield instance("γ = 0.6, τ = 2 and λ = 0.5", 5, 2, 0.6, 2.0, 0.5, 0.7)
    yield instance("a large weight", 5, 3, 0.95, 1.5, 40.0, 0.2)
    yield instance("a long step in x", 5, 3, 0.9, 0.8, 2.0, 0.5, reach=2.0)
    yield instance("x in a corner", 4, 3, 0.8, 0.8, 2.0, 0.5, mix=(rng.permutation(4) < 2).astype(float))
    # All rewards are lifted, which changes nothing but how large the exponents are.
    yield instance("a small temperature", 4, 3, 0.9, 1e-3, 2.0, 0.9, level=2.0)


pbrl_step = Task(
    _pbrl_step,
    _draw_step,
    (
        Mistake(
            "Your x moves by what holds at the old policy; the policy moves first.",
            lambda *given: _step_with(*given, simultaneous=True),
        ),
        Mistake(
            "Your policy's step forgets the leader.",
            lambda *given: _step_with(*given, tilt=0.0),
        ),
        Mistake(
            "Your policy's step adds the leader's action values in full, whatever the weight.",
            lambda *given: _step_with(*given, tilt=1.0),
        ),
        Mistake(
            "Your policy's step works against the leader: f is minimised, and f is minus a return.",
            lambda *given: _step_with(*given, tilt=-1 / given[6]),
        ),
        Mistake(
            "Your policy takes the whole step of policy iteration, whatever η is.",
            lambda *given: _step_with(*given, size=1 / given[5]),
        ),
        Mistake(
            "Your policy's step is not in units of the temperature.",
            lambda *given: _step_with(*given, size=given[7]),
        ),
        Mistake(
            "Your policy's step goes up: F is minimised.",
            lambda *given: _step_with(*given, size=-given[7] / given[5]),
        ),
        Mistake(
            "Your policy's step is longer by the weight.",
            lambda *given: _step_with(*given, size=given[7] * given[6] / given[5]),
        ),
        Mistake(
            "Your policy's step leaves out what the row is charged for being certain.",
            lambda *given: _step_with(*given, stay=0.0),
        ),
        Mistake(
            "Your policy's step charges the row with the wrong sign.",
            lambda *given: _step_with(*given, stay=-1.0),
        ),
        Mistake(
            "Your policy's step is not divided by the visits, so that rare states hardly move.",
            lambda *given: _step_with(*given, counted=True),
        ),
        Mistake(
            "Your policy's step takes the oracle's action values; they belong to another penalty.",
            lambda *given: _step_with(*given, values="oracle"),
        ),
        Mistake(
            "Your leader pays the follower's charge for certainty too.",
            lambda *given: _step_with(*given, charged=True),
        ),
        Mistake(
            "Your action values and slopes count tomorrow in full.",
            lambda *given: _step_with(*given, ahead=1.0),
        ),
        Mistake(
            "Your step solves the lower level; the policy that the oracle found is given, and it is not exact.",
            lambda *given: _step_with(*given, solved=True),
        ),
        Mistake(
            "Your x goes up: F is minimised.",
            lambda *given: _step_with(*given, parts=(-1.0, -given[6], -given[6])),
        ),
        Mistake(
            "Your x does not see the weight of the penalty.",
            lambda *given: _step_with(*given, parts=(1.0, 1.0, 1.0)),
        ),
        Mistake(
            "Your x sees the penalty only, not f.",
            lambda *given: _step_with(*given, parts=(0.0, given[6], given[6])),
        ),
        Mistake(
            "Your x sees f only, not the penalty.",
            lambda *given: _step_with(*given, parts=(1.0, 0.0, 0.0)),
        ),
        Mistake(
            "Your x forgets that the oracle's return moves with x too.",
            lambda *given: _step_with(*given, parts=(1.0, 0.0, given[6])),
        ),
        Mistake(
            "Your x adds the two returns of the penalty; it is their difference.",
            lambda *given: _step_with(*given, parts=(1.0, given[6], -given[6])),
        ),
        Mistake(
            "Your x takes the sign of f wrong: f is minus the leader's return.",
            lambda *given: _step_with(*given, parts=(-1.0, given[6], given[6])),
        ),
        Mistake(
            "Your x looks ahead with the oracle's values for both policies.",
            lambda *given: _step_with(*given, follow="oracle"),
        ),
        Mistake(
            "Your x changes the rewards only; it changes the kernel too.",
            lambda *given: _step_with(*given, dynamics=False),
        ),
        Mistake(
            "Your x weights the states by where one starts, not by where the policies go.",
            lambda *given: _step_with(*given, from_start=True),
        ),
        Mistake(
            "Your x can leave X.",
            lambda *given: _step_with(*given, finish=lambda moved: moved),
        ),
        Mistake(
            "Your x is projected onto a simplex; X is a box, one number in [0, 1] for each state.",
            lambda *given: _step_with(*given, finish=project),
        ),
    ),
    not_finite="The result holds NaN or an infinity (an exponential out of range, or 0 log 0)",
)


# Task 2: the gradient mapping. Arguments: x, y, ∂F/∂x, ∂F/∂y, α, η, the box's ends, the floor.


def _onto_rows(point: Array, floor: float) -> Array:
    """Project each row onto {u ≥ floor, Σ u = 1}: bisect for the ν with Σ max(u − ν, floor) = 1."""
    low = point.min(axis=1, keepdims=True) - 1.0
    high = point.max(axis=1, keepdims=True)
    for _ in range(200):
        middle = (low + high) / 2
        above = np.maximum(point - middle, floor).sum(axis=1, keepdims=True) > 1
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    result: Array = np.maximum(point - high, floor)
    return result


def _mapping(
    x: Array, y: Array, gx: Array, gy: Array, alpha: float, eta: float, lowest: Array, highest: Array, floor: float
) -> Array:
    moved = np.median([lowest, x - alpha * gx, highest], axis=0)
    new = _onto_rows(y - eta * gy, floor)
    return np.array([np.linalg.norm(x - moved) / alpha, np.linalg.norm(y - new) / eta])


def _clipped_and_scaled(point: Array, floor: float) -> Array:
    kept = np.maximum(point, floor)
    result: Array = kept / kept.sum(axis=1, keepdims=True)
    return result


def _shifted_and_clipped(point: Array, floor: float) -> Array:
    """Take the same from every entry, then cut off what is below the floor."""
    result: Array = np.maximum(point - (point.sum(axis=1, keepdims=True) - 1) / point.shape[1], floor)
    return result


def _mapping_with(
    x: Array,
    y: Array,
    gx: Array,
    gy: Array,
    alpha: float,
    eta: float,
    lowest: Array,
    highest: Array,
    floor: float,
    *,
    sign: float = -1.0,
    rows: Callable[[Array, float], Array] = project,
    divided: bool = True,
    norm: Callable[[Array], float] | None = None,
    of_gradient: bool = False,
) -> Array:
    """Follow the taught way with one thing changed."""
    norm = _length if norm is None else norm
    if of_gradient:
        return np.array([norm(np.clip(gx, lowest, highest)), norm(rows(gy, floor))])
    to_x = np.clip(x + sign * alpha * gx, lowest, highest)
    to_y = rows(y + sign * eta * gy, floor)
    return np.array([norm((x - to_x) / (alpha if divided else 1.0)), norm((y - to_y) / (eta if divided else 1.0))])


def _length(table: Array) -> float:
    return float(np.linalg.norm(table))


def _norms(gx: Array, gy: Array) -> Array:
    return np.array([np.linalg.norm(gx), np.linalg.norm(gy)])


def _centred(table: Array) -> Array:
    result: Array = table - table.mean(axis=1, keepdims=True)
    return result


def _draw_mapping(rng: np.random.Generator) -> Iterator[Instance]:
    def point(n: int, n_actions: int, floor: float, depth: float) -> tuple[Array, Array, Array, Array]:
        lowest = rng.normal(size=n)
        highest = lowest + rng.uniform(0.5, 2.0, n)
        x = lowest + (highest - lowest) * rng.uniform(depth, 1 - depth, n)
        y = floor + (1 - n_actions * floor) * rng.dirichlet(np.ones(n_actions), size=n)
        return x, y, lowest, highest

    for label, floor, alpha, eta, size in (
        ("short steps", 0.0, 0.01, 0.02, 1.0),
        ("steps that reach the boundary", 0.0, 0.4, 0.3, 2.0),
        ("a floor", 0.05, 0.3, 0.1, 2.0),
        ("a slope of size 100", 0.02, 0.02, 0.005, 100.0),
    ):
        x, y, lowest, highest = point(5, 4, floor, 0.1)
        slopes = size * rng.normal(size=5), size * (rng.normal(size=(5, 4)) + rng.normal(size=(5, 1)))
        yield Instance(label, (x, y, *slopes, alpha, eta, lowest, highest, floor))
    x, y, lowest, highest = point(6, 3, 0.04, 0.1)
    gx, gy = rng.normal(size=6), rng.normal(size=(6, 3))
    x = np.where(np.arange(6) < 3, np.where(gx > 0, lowest, highest), x)  # pushed out of the box, and not moved
    y[:3] = 0.04 + 0.88 * np.eye(3)[gy[:3].argmin(axis=1)]
    yield Instance("a point in a corner", (x, y, gx, gy, 0.5, 0.4, lowest, highest, 0.04))


gradient_mapping = Task(
    _mapping,
    _draw_mapping,
    (
        Mistake(
            "Your numbers are the norms of the slopes: they do not know the boundary.",
            lambda x, y, gx, gy, *rest: _norms(gx, gy),
        ),
        Mistake(
            "Your numbers are the norms of the slopes, centred in each row: they do not know the boundary.",
            lambda x, y, gx, gy, *rest: _norms(gx, _centred(gy)),
        ),
        Mistake(
            "Your numbers are how far one step goes; they shrink with the step and say nothing about the slope.",
            lambda *given: _mapping_with(*given, divided=False),
        ),
        Mistake(
            "Your numbers are those of a step uphill.",
            lambda *given: _mapping_with(*given, sign=1.0),
        ),
        Mistake(
            "Your rows are projected onto the whole simplex, whatever the floor is.",
            lambda *given: _mapping_with(*given, rows=lambda point, floor: project(point)),
        ),
        Mistake(
            "Your rows are cut off and divided by their sum; that is a distribution, but not the nearest one.",
            lambda *given: _mapping_with(*given, rows=_clipped_and_scaled),
        ),
        Mistake(
            "Your rows are shifted to the sum 1 and then cut off, after which their sum is not 1 any more.",
            lambda *given: _mapping_with(*given, rows=_shifted_and_clipped),
        ),
        Mistake(
            "Your x is kept in [0, 1]; the ends of the box are given.",
            lambda x, y, gx, gy, alpha, eta, lowest, highest, floor: _mapping_with(
                x, y, gx, gy, alpha, eta, np.zeros_like(lowest), np.ones_like(highest), floor
            ),
        ),
        Mistake(
            "Your two steps are exchanged.",
            lambda x, y, gx, gy, alpha, eta, *rest: _mapping_with(x, y, gx, gy, eta, alpha, *rest),
        ),
        Mistake(
            "Your policy takes the step of x.",
            lambda x, y, gx, gy, alpha, eta, *rest: _mapping_with(x, y, gx, gy, alpha, alpha, *rest),
        ),
        Mistake(
            "Your numbers are squares of norms.",
            lambda *given: _mapping(*given) ** 2,
        ),
        Mistake(
            "Your numbers are the largest entries; Euclidean norms are asked.",
            lambda *given: _mapping_with(*given, norm=lambda table: float(np.abs(table).max())),
        ),
        Mistake(
            "Your number for the policy is the spectral norm of a matrix; all its entries count alike.",
            lambda *given: _mapping_with(*given, norm=lambda table: float(np.linalg.norm(table, 2))),
        ),
        Mistake(
            "Your numbers are sums of absolute values; Euclidean norms are asked.",
            lambda *given: _mapping_with(*given, norm=lambda table: float(np.abs(table).sum())),
        ),
        Mistake(
            "Your projection is of the slope; the point that the step leads to has to be projected.",
            lambda *given: _mapping_with(*given, of_gradient=True),
        ),
    ),
)


# Task 3: the weights for which descent arrives. Arguments: x₁, b, κ, m, c, γ, a, K.


def _works(
    weights: Array,
    start: float,
    threshold: float,
    reaction: float,
    cost: float,
    gain: float,
    discount: float,
    step: float,
    budget: int,
) -> NDArray[np.bool_]:
    """Walk K steps down φ_λ for many λ at once, and tell which of them reach b or step over it."""
    x = np.full(weights.shape, start)
    arrived = np.zeros(weights.shape, dtype=np.bool_)
    for _ in range(budget):
        obeys = (x < threshold) & (weights * reaction * (threshold - x) <= gain)
        slope = (cost - weights * reaction * obeys) / (1 - discount)
        x = np.clip(x - step / weights * slope, 0.0, 1.0)
        arrived |= (x >= threshold) if start < threshold else (x <= threshold)
    return arrived & (weights * reaction >= cost)


def _window(*given: float) -> Array:
    """Find the ends by trying weights on finer and finer grids."""
    grid = np.geomspace(1e-3, 1e4, 1200)
    good = np.flatnonzero(_works(grid, *given))  # type: ignore[arg-type]
    ends = []
    for inside, outside in ((grid[good[0]], grid[good[0] - 1]), (grid[good[-1]], grid[good[-1] + 1])):
        for _ in range(4):
            between = np.linspace(outside, inside, 201)
            first = int(np.flatnonzero(_works(between, *given))[0])  # type: ignore[arg-type]
            outside, inside = between[first - 1], between[first]
        ends.append(inside)
    return np.array(ends)


def _window_by_hand(
    start: float,
    threshold: float,
    reaction: float,
    cost: float,
    gain: float,
    discount: float,
    step: float,
    budget: int,
    *,
    speed: float | None = None,
    slow: bool = True,
    basin: float | None = None,
    low_above: float | None = None,
    constant: bool = False,
    mirrored: bool = False,
) -> Array:
    """Follow the taught way with one thing changed."""
    speed = 1 / (1 - discount) if speed is None else speed
    needed = abs(start - threshold) / (step * budget * speed)
    if start < threshold or mirrored:
        low = cost / reaction
        if slow:
            low = (cost + needed) / reaction if constant else cost / (reaction - needed)
        return np.array([low, gain / (reaction * abs(threshold - start)) if basin is None else basin])
    low = cost / reaction if low_above is None else low_above
    return np.array([low, np.inf if constant else cost / needed])


def _with_another(index: int, value: float) -> Callable[..., Array]:
    """Return the mistake of another number for one argument."""

    def compute(*given: float) -> Array:
        changed = [*given]
        changed[index] = value
        return _window_by_hand(*changed)  # type: ignore[arg-type]

    return compute


def _as_if_slow(*given: float) -> Array:
    """Let large weights fail by slowness from below too."""
    start, threshold, _, cost, _, discount, step, budget = given
    basin = step * budget * cost / (abs(threshold - start) * (1 - discount))
    return _window_by_hand(*given, basin=basin)  # type: ignore[arg-type]


def _draw_window(rng: np.random.Generator) -> Iterator[Instance]:
    def below(discount: float, budget: int, share: float, wide: float) -> tuple[float, ...]:
        threshold = rng.uniform(0.55, 0.85)
        start = threshold - rng.uniform(0.15, 0.4)
        reaction, cost = rng.uniform(0.4, 2.5), rng.uniform(0.3, 2.0)
        apart = threshold - start
        step = apart * (1 - discount) / (share * budget * reaction)
        gain = wide * apart * cost / (1 - share)
        return start, threshold, reaction, cost, gain, discount, step, budget

    def above(discount: float, budget: int, wide: float) -> tuple[float, ...]:
        threshold = rng.uniform(0.2, 0.45)
        start = threshold + rng.uniform(0.15, 0.4)
        reaction, cost, gain = rng.uniform(0.4, 2.5), rng.uniform(0.3, 2.0), rng.uniform(0.5, 2.0)
        step = wide * (start - threshold) * (1 - discount) / (reaction * budget)
        return start, threshold, reaction, cost, gain, discount, step, budget

    yield Instance("a start below b, 20 steps", below(0.9, 20, 0.4, 3.0))
    yield Instance("a start below b, 7 steps", below(0.6, 7, 0.6, 2.0))
    yield Instance("a start below b and a budget that is hardly enough", below(0.8, 15, 0.85, 1.5))
    yield Instance("a start below b and plenty of steps", below(0.95, 50, 0.05, 4.0))
    yield Instance("a start above b, 20 steps", above(0.9, 20, 5.0))
    yield Instance("a start above b, 7 steps", above(0.6, 7, 2.0))


weight_window = Task(
    _window,
    _draw_window,
    (
        Mistake(
            "Your smallest weight makes b a minimum, but just above it the way up is all but level and takes for ever.",
            lambda *given: _window_by_hand(*given, slow=False),
        ),
        Mistake(
            "Your large weights fail because they are slow; from below something else happens to them first.",
            _as_if_slow,
        ),
        Mistake(
            "Your step does not shrink with the weight.",
            lambda *given: _window_by_hand(*given, constant=True),
        ),
        Mistake(
            "Your slopes are those of one step's reward; all steps count, discounted.",
            lambda *given: _window_by_hand(*given, speed=1.0),
        ),
        Mistake(
            "Your discounting makes slopes smaller; a reward that comes in every step makes them larger.",
            lambda *given: _window_by_hand(*given, speed=1 - given[5]),
        ),
        Mistake(
            "Your follower reacts as in the lesson, whatever κ is.",
            _with_another(2, 1.0),
        ),
        Mistake(
            "Your leader pays 1 for a unit of x, whatever m is.",
            _with_another(3, 1.0),
        ),
        Mistake(
            "Your threshold is the lesson's, whatever b is.",
            _with_another(1, 0.5),
        ),
        Mistake(
            "Your way is one step shorter than the budget allows.",
            lambda *given: _with_another(7, given[7] - 1)(*given),
        ),
        Mistake(
            "Your small weights carry a start above b over it and on down, for b is no minimum for them.",
            lambda *given: _window_by_hand(*given, low_above=0.0),
        ),
        Mistake(
            "Your way down from above is as steep as the way up from below.",
            lambda *given: _window_by_hand(*given, mirrored=True),
        ),
        Mistake(
            "Your largest weight from below forgets how strongly the follower reacts.",
            lambda *given: _window_by_hand(*given, basin=given[4] / abs(given[1] - given[0])),
        ),
        Mistake(
            "Your largest weight from below is for a start at 0.",
            lambda *given: _window_by_hand(*given, basin=given[4] / (given[2] * given[1])),
        ),
        Mistake(
            "Your largest weight from below counts the leader's gain over all steps, but the penalty over one.",
            lambda *given: _window_by_hand(
                *given, basin=given[4] / (1 - given[5]) / (given[2] * (given[1] - given[0]))
            ),
        ),
    ),
)
