"""Problem set 07: φ_λ and its slope from two plans, gradient dominance of a trembling hand, the worst trap.

Each `Task` is called with the student's function, and with a seed for other instances.
"""

from collections.abc import Callable, Iterator
from itertools import combinations, product
from typing import Any

import numpy as np

from ..evaluation import evaluate
from ..models import MDP
from ..planning import solve
from ..simplex import random_policy
from ..typing import Array
from ..worlds import random_mdp
from . import Instance, Mistake, Task
from .shared import mixed, visited, worth_of


def _garnet(rng: np.random.Generator, n_states: int, n_actions: int, branching: int = 2) -> tuple[Array, Array, Array]:
    """Draw a sparse kernel, rewards of both signs and a start that is not uniform."""
    kernel = random_mdp(rng, n_states, n_actions, 0.5, branching=branching).transition
    return kernel, rng.normal(size=(n_states, n_actions)), rng.dirichlet(np.ones(n_states))


# Task 1: φ_λ and its slope. Arguments: P₀ and P₁, r₀ and r₁, q₀ and q₁, γ, ρ, τ, τ_u, λ, x.


def _softmax_and_log(scores: Array) -> tuple[Array, Array]:
    """Return softmax(scores) and its logarithm; the scores may be complex."""
    shifted = scores - scores.real.max(axis=-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return np.exp(logs), logs


def _soft_optimum(kernel: Array, reward: Array, discount: float, temperature: float) -> tuple[Array, Array, Array]:
    """Return V*, π* and log π* of a stack of models, by soft policy iteration; the numbers may be complex."""
    value = np.zeros(reward.shape[:-1])
    for _ in range(60):
        ahead = reward + discount * np.einsum("...sat,...t->...sa", kernel, value)
        policy, logs = _softmax_and_log(ahead / temperature)
        better = worth_of(kernel, (policy * (reward - temperature * logs)).sum(axis=-1), discount, policy)
        moved, value = np.abs(better - value).max(), better
        if moved <= 1e-14 * np.abs(value).max():
            break
    return value, policy, logs


def _penalized(
    kernels: Array, rewards: Array, upper: Array, g: float, rho: Array, t: float, tu: float, weight: float, mix: Array
) -> Array:
    """Evaluate f + λp by its definition at the minimiser, and differentiate all of it by complex steps in x."""
    x = mix + 1e-30j * np.vstack([np.zeros(len(mix)), np.eye(len(mix))])
    kernel, reward, gain = (mixed(tables, x) for tables in (kernels, rewards, upper))
    best, _, _ = _soft_optimum(kernel, reward, g, t)
    _, policy, logs = _soft_optimum(kernel, reward + gain / weight, g, t + tu / weight)
    own = worth_of(kernel, (policy * (reward - t * logs)).sum(axis=-1), g, policy)
    leader = worth_of(kernel, (policy * (gain - tu * logs)).sum(axis=-1), g, policy)
    found = (weight * (best - own) - leader) @ rho
    result: Array = np.concatenate([found.real[:1], found.imag[1:] / 1e-30])
    return result


def _penalized_with(
    kernels: Array,
    rewards: Array,
    upper: Array,
    g: float,
    rho: Array,
    t: float,
    tu: float,
    weight: float,
    mix: Array,
    *,
    tilt: float | None = None,
    heat: float | None = None,
    scale: tuple[float, float] | None = None,
    second: bool = True,
    first: bool = True,
    change: float = 1.0,
    moves: float | None = None,
    dynamics: bool = True,
    visits: str = "occupancy",
    values: str = "own",
    follow: str = "tilted",
) -> Array:
    """Follow the taught way with one thing changed."""
    tilt = 1 / weight if tilt is None else tilt
    heat = tu / weight if heat is None else heat
    kernel, reward, gain = (mixed(tables, mix) for tables in (kernels, rewards, upper))
    plain = solve(MDP(kernel, reward, g, rho, t))
    turned = solve(MDP(kernel, reward + tilt * gain, g, rho, t + heat))
    if follow == "optimal":  # the tilted return of the policy that is optimal without the tilt
        at = evaluate(turned.mdp, plain.policy)
        value, policy = at.value, plain.policy
    else:
        value, policy = turned.value, turned.policy

    def slope(policy: Array, difference: Array, value: Array) -> Array:
        at = evaluate(plain.mdp, policy)
        weights = {"occupancy": at.occupancy, "start": rho, "per step": (1 - g) * at.occupancy}[visits]
        ahead = (g if moves is None else moves) * (kernels[1] - kernels[0]) @ value if dynamics else 0.0
        result: Array = weights * (policy * (difference + ahead)).sum(axis=1)
        return result

    apart, lead = rewards[1] - rewards[0], upper[1] - upper[0]
    one = slope(plain.policy, apart, plain.value)
    two = slope(policy, apart + change * tilt * lead, plain.value if values == "plain" else value)
    outside, inside = (weight, weight) if scale is None else scale
    number = outside * (plain.value - value) @ rho
    result: Array = np.concatenate([[number], inside * (first * one - second * two)])
    return result


def _fixed_follower(*given: Any) -> Array:
    """Return f and its slope in x at the minimiser, without the penalty."""
    kernels, _, upper, g, rho, _, tu, weight, mix = given
    kernel, reward, gain = (mixed(tables, mix) for tables in given[:3])
    policy = solve(MDP(kernel, reward + gain / weight, g, rho, given[5] + tu / weight)).policy
    at = evaluate(MDP(kernel, gain, g, rho, tu), policy)
    change = upper[1] - upper[0] + g * (kernels[1] - kernels[0]) @ at.value
    slope = -at.occupancy * (policy * change).sum(axis=1)
    return np.concatenate([[-at.expected_return], slope])


def _draw_penalized(rng: np.random.Generator) -> Iterator[Instance]:
    def worlds(n_states: int, n_actions: int) -> tuple[Array, Array, Array, Array]:
        drawn = [_garnet(rng, n_states, n_actions) for _ in range(2)]
        upper = rng.normal(size=(2, n_states, n_actions))
        return np.stack([one[0] for one in drawn]), np.stack([one[1] for one in drawn]), upper, drawn[0][2]

    for n_states, n_actions, g, t, tu, weight in ((4, 3, 0.9, 0.5, 0.8, 3.0), (5, 2, 0.6, 2.0, 1.0, 0.4)):
        kernels, rewards, upper, rho = worlds(n_states, n_actions)
        mix = rng.uniform(0.15, 0.85, n_states)
        label = f"γ = {g}, τ = {t} and λ = {weight}"
        yield Instance(label, (kernels, rewards, upper, g, rho, t, tu, weight, mix))
    kernels, rewards, upper, rho = worlds(5, 3)
    mix = rng.uniform(0.15, 0.85, 5)
    yield Instance("a large weight", (kernels, rewards, upper, 0.95, rho, 0.2, 3.0, 30.0, mix))
    yield Instance("a leader without a temperature", (kernels, rewards, upper, 0.9, rho, 0.3, 0.0, 2.0, mix))
    yield Instance(
        "a single start state", (kernels, rewards, upper, 0.9, np.eye(5)[rng.integers(5)], 0.3, 0.5, 2.0, mix)
    )
    corner = (rng.permutation(5) < 2).astype(float)
    yield Instance("a corner of X", (kernels, rewards, upper, 0.9, rho, 0.3, 0.5, 2.0, corner))


penalized_minimum = Task(
    _penalized,
    _draw_penalized,
    (
        Mistake(
            "Your policy ignores the leader: it is the optimal one of the follower's own problem.",
            lambda *given: _penalized_with(*given, follow="optimal"),
        ),
        Mistake(
            "Your second plan does not know what the leader pays for certainty.",
            lambda *given: _penalized_with(*given, heat=0.0),
        ),
        Mistake(
            "Your second plan charges for certainty with the leader's full temperature, its rewards with a share.",
            lambda *given: _penalized_with(*given, heat=given[6]),
        ),
        Mistake(
            "Your second plan adds the leader's rewards in full, whatever the weight.",
            lambda *given: _penalized_with(*given, tilt=1.0),
        ),
        Mistake(
            "Your second plan multiplies the leader's share with the weight, so that a large weight obeys the leader.",
            lambda *given: _penalized_with(*given, tilt=given[7], heat=given[6] * given[7]),
        ),
        Mistake(
            "Your second plan works against the leader: f is minimised, and f is minus a return.",
            lambda *given: _penalized_with(*given, tilt=-1 / given[7]),
        ),
        Mistake(
            "Your numbers are in the follower's units of return, not in those of f.",
            lambda *given: _penalized_with(*given, scale=(1.0, 1.0)),
        ),
        Mistake(
            "Your slope is in other units than your value.",
            lambda *given: _penalized_with(*given, scale=(given[7], 1.0)),
        ),
        Mistake(
            "Your value and slope have the wrong sign.",
            lambda *given: -_penalized(*given),
        ),
        Mistake(
            "Your slope has the wrong sign.",
            lambda *given: _penalized_with(*given, scale=(given[7], -given[7])),
        ),
        Mistake(
            "Your slope forgets that the leader's rewards change with x too.",
            lambda *given: _penalized_with(*given, change=0.0),
        ),
        Mistake(
            "Your slope adds the change of the leader's rewards in full.",
            lambda *given: _penalized_with(*given, change=given[7]),
        ),
        Mistake(
            "Your slope forgets that the optimal value of the follower moves with x.",
            lambda *given: _penalized_with(*given, first=False),
        ),
        Mistake(
            "Your slope is that of the follower's optimal value alone.",
            lambda *given: _penalized_with(*given, second=False),
        ),
        Mistake(
            "Your slope forgets that x changes the kernel.",
            lambda *given: _penalized_with(*given, dynamics=False),
        ),
        Mistake(
            "Your slope counts tomorrow's value in full.",
            lambda *given: _penalized_with(*given, moves=1.0),
        ),
        Mistake(
            "Your slope weights the states by where one starts, not by where the policy goes.",
            lambda *given: _penalized_with(*given, visits="start"),
        ),
        Mistake(
            "Your slope is an average per step: the visits of your occupancies sum to 1.",
            lambda *given: _penalized_with(*given, visits="per step"),
        ),
        Mistake(
            "Your slope looks ahead with the values of one plan for both policies.",
            lambda *given: _penalized_with(*given, values="plain"),
        ),
        Mistake(
            "Your numbers are f and its slope where the minimum is, without the penalty.",
            _fixed_follower,
        ),
    ),
)


# Task 2: gradient dominance of a trembling hand. Arguments: P, r, γ, ρ, ε, w.

VISITED = 1e-10


def _deterministic(n_states: int, n_actions: int) -> Array:
    """Return all deterministic policies, shape (A^S, S, A)."""
    actions = np.array(list(product(range(n_actions), repeat=n_states)))
    result: Array = np.eye(n_actions)[actions]
    return result


def _trembling(tremble: float, intended: Array) -> Array:
    result: Array = (1 - tremble) * intended + tremble / intended.shape[-1]
    return result


def _best_by_trying(P: Array, r: Array, g: float, tremble: float) -> Array:
    """Return the deterministic intention that is best when the hand trembles, by trying all of them."""
    intentions = _deterministic(*r.shape)
    done = _trembling(tremble, intentions)
    values = worth_of(P[None], (done * r).sum(axis=-1), g, done)
    best: Array = intentions[values.sum(axis=1).argmax()]
    return best


def _dominance(P: Array, r: Array, g: float, rho: Array, tremble: float, w: Array) -> Array:
    """Try all deterministic intentions: for the best one, and for the steepest way by complex steps."""
    visits = visited(P, g, rho, _trembling(tremble, w))
    ideal = visited(P, g, rho, _trembling(tremble, _best_by_trying(P, r, g, tremble)))
    there = ideal > VISITED
    visits = np.where(visits > VISITED, visits, 0.0)
    toward = _trembling(tremble, w + 1e-30j * (_deterministic(*r.shape) - w))
    # The tremble is the same for both, so a real part stays and the imaginary part is (1 − ε)(w′ − w).
    values = worth_of(P[None], (toward * r).sum(axis=-1), g, toward) @ rho
    shares = [(top[there] / ideal[there]).min() for top in (visits, rho)]
    return np.array([*shares, values.imag.max() / 1e-30])


def _best_planned(P: Array, r: Array, g: float, tremble: float) -> Array:
    """Return the best intention by a plan in the world in which the hand's tremble is part of the dynamics."""
    kernel, reward = (
        (1 - tremble) * table + tremble * table.mean(axis=1, keepdims=True) for table in (P, r[:, :, None])
    )
    uniform = np.full(len(r), 1 / len(r))
    return solve(MDP(kernel, reward[:, :, 0], g, uniform)).policy


def _dominance_with(
    P: Array,
    r: Array,
    g: float,
    rho: Array,
    tremble: float,
    w: Array,
    *,
    comparator: float | None = None,
    own: float | None = None,
    share: Callable[[Array, Array], float] | None = None,
    start: Callable[[Array, Array, Array], float] | None = None,
    steep: Callable[..., float] | None = None,
    backwards: bool = False,
) -> Array:
    """Follow the taught way with one thing changed; share gets (d^π, d*), start (ρ, d*, d^π), steep (Q, d, y, d*)."""
    y = _trembling(tremble if own is None else own, w)
    best = _trembling(tremble, _best_planned(P, r, g, tremble))
    if comparator is not None:
        best = _trembling(comparator, _best_planned(P, r, g, comparator))
    visits, ideal = (visited(P, g, rho, policy) for policy in (y, best))
    if backwards:
        visits, ideal = (worth_of(P, rho, g, policy) for policy in (y, best))
    visits, ideal = (np.where(found > VISITED, found, 0.0) for found in (visits, ideal))
    ahead = r + g * P @ worth_of(P, (y * r).sum(axis=1), g, y)

    def least(top: Array, bottom: Array) -> float:
        return float((top[bottom > 0] / bottom[bottom > 0]).min())

    first = least(visits, ideal) if share is None else share(visits, ideal)
    second = least(rho, ideal) if start is None else start(rho, ideal, visits)
    if steep is None:
        third = (1 - tremble) * visits @ (ahead.max(axis=1) - (w * ahead).sum(axis=1))
    else:
        third = steep(ahead, visits, y, ideal)
    return np.array([first, second, third])


def _over(top: Array, bottom: Array, choose: Callable[[Array], float], only: Any = None) -> float:
    there = bottom > 0 if only is None else (bottom > 0) & only
    return float(choose(top[there] / bottom[there]))


def _steep_by(weigh: Callable[..., Array]) -> Callable[..., Array]:
    """Return the mistake of other weights in the slope; weigh gets (γ, ρ, d^π, d*)."""

    def compute(P: Array, r: Array, g: float, rho: Array, tremble: float, w: Array) -> Array:
        def steep(ahead: Array, d: Array, y: Array, ideal: Array) -> float:
            gain = ahead.max(axis=1) - (w * ahead).sum(axis=1)
            return float((1 - tremble) * weigh(g, rho, d, ideal) @ gain)

        return _dominance_with(P, r, g, rho, tremble, w, steep=steep)

    return compute


def _steepest_state(P: Array, r: Array, g: float, rho: Array, tremble: float, w: Array) -> Array:
    return _dominance_with(
        P,
        r,
        g,
        rho,
        tremble,
        w,
        steep=lambda ahead, d, y, ideal: (1 - tremble) * (d * (ahead.max(axis=1) - (w * ahead).sum(axis=1))).max(),
    )


def _full_gap(P: Array, r: Array, g: float, rho: Array, tremble: float, w: Array) -> Array:
    """Return the distance to the best agent for the slope; it also comes out with Q* in place of Q^π."""
    best, own = (_trembling(tremble, policy) for policy in (_best_planned(P, r, g, tremble), w))
    gap = rho @ (worth_of(P, (best * r).sum(axis=1), g, best) - worth_of(P, (own * r).sum(axis=1), g, own))
    return _dominance_with(P, r, g, rho, tremble, w, steep=lambda *_: float(gap))


def _draw_dominance(rng: np.random.Generator) -> Iterator[Instance]:
    for n_states, n_actions, g, tremble in ((4, 3, 0.9, 0.2), (5, 2, 0.7, 0.4)):
        P, r, rho = _garnet(rng, n_states, n_actions)
        label = f"γ = {g} and a tremble of {tremble}"
        yield Instance(label, (P, r, g, 0.9 * rho + 0.1 / n_states, tremble, random_policy(rng, n_states, n_actions)))
    while True:  # the tremble changes what is best, and the best is not what looks best from the intention
        P, r, rho = _garnet(rng, 5, 3)
        rho, fixed = 0.9 * rho + 0.02, np.eye(3)[rng.integers(3, size=5)]
        best, steady = (_best_by_trying(P, r, 0.95, tremble) for tremble in (0.7, 0.0))
        y = _trembling(0.7, fixed)
        ahead = r + 0.95 * P @ worth_of(P, (y * r).sum(axis=1), 0.95, y)
        if (best != steady).any() and (best.argmax(axis=1) != ahead.argmax(axis=1)).any():
            found, other = (f(P, r, 0.95, rho, 0.7, fixed) for f in (_dominance, _best_for_a_steady_hand))
            if np.abs(found - other).max() > 1e-3:
                break
    yield Instance("a deterministic intention and a steady hand", (P, r, 0.9, rho, 0.0, fixed))
    yield Instance("a hand that trembles more than it obeys", (P, r, 0.95, rho, 0.7, fixed))
    holes = np.where(np.arange(5) == rho.argmax(), 0.6, np.where(np.arange(5) == rho.argmin(), 0.4, 0.0))
    while True:  # every state is visited, but from two of them only
        P, r, _ = _garnet(rng, 5, 3)
        w = random_policy(rng, 5, 3)
        best = _trembling(0.3, _best_by_trying(P, r, 0.9, 0.3))
        if min(visited(P, 0.9, holes, policy).min() for policy in (_trembling(0.3, w), best)) > 1e-3:
            break
    yield Instance("a start with zeros", (P, r, 0.9, holes, 0.3, w))
    # A state that nobody enters and nobody starts in counts for nothing, whatever one would do there.
    P = np.concatenate([P[:4], P[4:]])
    P[:4, :, :4] += P[:4, :, 4:] / 4
    P[:4, :, 4] = 0.0
    start = np.append(0.8 * rng.dirichlet(np.ones(4)) + 0.05, 0.0)
    yield Instance("a state that is never entered", (P, r, 0.9, start, 0.3, w))
    while True:  # the best intention goes where the given one never does, with a steady hand
        P, r, _ = _garnet(rng, 5, 2, branching=1)
        fixed, start = np.eye(2)[rng.integers(2, size=5)], np.eye(5)[rng.integers(5)]
        own, ideal = (visited(P, 0.9, start, policy) for policy in (fixed, _best_by_trying(P, r, 0.9, 0.0)))
        stray = (ideal > VISITED) & (own <= VISITED)
        if stray.any() and not stray.all() and _dominance(P, r, 0.9, start, 0.0, fixed)[2] > 0.1:
            break
    yield Instance("an intention that never comes where the best one goes", (P, r, 0.9, start, 0.0, fixed))


dominance = Task(
    _dominance,
    _draw_dominance,
    (
        Mistake(
            "Your shares are upside down: they are the factors of the bound, which are infinite where it is void.",
            lambda *given: _dominance_with(
                *given,
                share=lambda d, ideal: 1 / _over(d, ideal, np.min),
                start=lambda rho, ideal, d: 1 / _over(rho, ideal, np.min),
            ),
        ),
        Mistake(
            "Your first share asks how well the best agent covers the visits of the given one; the other way is asked.",
            lambda *given: _dominance_with(*given, share=lambda d, ideal: _over(ideal, d, np.min)),
        ),
        Mistake(
            "Your shares are those of the state that is best covered; the worst one limits the bound.",
            lambda *given: _dominance_with(
                *given,
                share=lambda d, ideal: _over(d, ideal, np.max),
                start=lambda rho, ideal, d: _over(rho, ideal, np.max),
            ),
        ),
        Mistake(
            "Your shares leave out the states that are not visited or not started in, just where the bound is void.",
            lambda *given: _dominance_with(
                *given,
                share=lambda d, ideal: _over(d, ideal, np.min, d > 0),
                start=lambda rho, ideal, d: _over(rho, ideal, np.min, rho > 0),
            ),
        ),
        Mistake(
            "Your second share is the general bound, which knows no model; the start's own share is asked.",
            lambda *given: _dominance_with(*given, start=lambda rho, ideal, d: (1 - given[2]) * float(rho.min())),
        ),
        Mistake(
            "Your second share divides by the visits of the given agent, not by those of the best one.",
            lambda *given: _dominance_with(*given, start=lambda rho, ideal, d: _over(rho, d, np.min)),
        ),
        Mistake(
            "Your best agent has a steady hand; its hand trembles too.",
            lambda *given: _dominance_with(*given, comparator=0.0),
        ),
        Mistake(
            "Your best agent trembles, but it chose its intention for a steady hand.",
            lambda *given: _best_for_a_steady_hand(*given),
        ),
        Mistake(
            "Your given agent has a steady hand.",
            lambda *given: _dominance_with(
                *given,
                own=0.0,
                steep=lambda ahead, d, y, ideal: (1 - given[4]) * d @ (ahead.max(axis=1) - (y * ahead).sum(axis=1)),
            ),
        ),
        Mistake(
            "Your given agent has a steady hand.",
            lambda *given: _dominance_with(
                *given,
                own=0.0,
                steep=lambda ahead, d, y, ideal: d @ (ahead.max(axis=1) - (y * ahead).sum(axis=1)),
            ),
        ),
        Mistake(
            "Your steepest way leads to a policy that no trembling hand can play.",
            lambda *given: _dominance_with(
                *given, steep=lambda ahead, d, y, ideal: d @ (ahead.max(axis=1) - (y * ahead).sum(axis=1))
            ),
        ),
        Mistake(
            "Your slope changes what is played as fast as what is intended.",
            lambda *given: _dominance_with(
                *given, steep=lambda ahead, d, y, ideal: d @ (ahead.max(axis=1) - (given[5] * ahead).sum(axis=1))
            ),
        ),
        Mistake(
            "Your slope weights the states by where one starts, not by where the agent goes.",
            _steep_by(lambda g, rho, d, ideal: rho),
        ),
        Mistake(
            "Your slope weights the states by the visits of the best agent.",
            _steep_by(lambda g, rho, d, ideal: ideal),
        ),
        Mistake(
            "Your slope counts every state once.",
            _steep_by(lambda g, rho, d, ideal: np.ones_like(rho)),
        ),
        Mistake(
            "Your slope is an average per step: the visits of your occupancy sum to 1.",
            _steep_by(lambda g, rho, d, ideal: (1 - g) * d),
        ),
        Mistake(
            "Your slope changes one state only; all may change at once.",
            _steepest_state,
        ),
        Mistake(
            "Your slope is the whole distance to the best agent, not a derivative (whose action values does it need?).",
            _full_gap,
        ),
        Mistake(
            "Your occupancy flows backwards: look at which index of P_π is the state one comes from.",
            lambda *given: _dominance_with(*given, backwards=True),
        ),
    ),
    not_finite="A share is NaN or infinite (0/0, or something over 0)",
)


def _best_for_a_steady_hand(P: Array, r: Array, g: float, rho: Array, tremble: float, w: Array) -> Array:
    best = _trembling(tremble, _best_planned(P, r, g, 0.0))
    ideal = np.where((found := visited(P, g, rho, best)) > VISITED, found, 0.0)
    return _dominance_with(
        P,
        r,
        g,
        rho,
        tremble,
        w,
        share=lambda d, _: _over(d, ideal, np.min),
        start=lambda rho, _, d: _over(rho, ideal, np.min),
    )


# Task 3: the worst trap. Arguments: P, r, γ, ρ.

SLOPE = 1e-7


def _returns(P: Array, r: Array, g: float, rho: Array) -> Array:
    """Return V^π(ρ) of all deterministic policies, an array of shape (A, A, …) with an axis for each state."""
    policies = _deterministic(*r.shape)
    found = worth_of(P[None], (policies * r).sum(axis=-1), g, policies) @ rho
    result: Array = found.reshape((r.shape[1],) * len(rho))
    return result


def _worst_trap(P: Array, r: Array, g: float, rho: Array) -> float:
    """Compare whole returns: a policy is a trap if no change in a single state makes its return larger."""
    returns = _returns(P, r, g, rho)
    trapped = np.ones(returns.shape, dtype=bool)
    for state in range(len(rho)):
        trapped &= returns >= returns.max(axis=state, keepdims=True) - SLOPE
    return float(returns[trapped].min())


def _worst_with(
    P: Array,
    r: Array,
    g: float,
    rho: Array,
    *,
    from_the_start: bool = False,
    myopic: bool = False,
    worth: Callable[[Array], Array] | None = None,
) -> float:
    """Follow the taught way with one thing changed; `worth` turns values into the numbers to take the least of."""
    policies = _deterministic(*r.shape)
    values = worth_of(P[None], (policies * r).sum(axis=-1), g, policies)
    stationary = []
    for policy, value in zip(policies, values, strict=True):
        weights = rho if from_the_start else visited(P, g, rho, policy)
        q = r if myopic else r + g * P @ value
        gain = np.where(weights > VISITED, q.max(axis=1) - (policy * q).sum(axis=1), 0.0)
        stationary.append(bool((gain <= SLOPE).all()))
    kept = values[np.array(stationary)]
    return float((kept @ rho if worth is None else worth(kept)).min())


def _draw_trap(rng: np.random.Generator) -> Iterator[Instance]:
    def instance(label: str, n_states: int, n_actions: int, g: float, starts: int, size: float = 1.0) -> Instance:
        while True:
            P, r, rho = _garnet(rng, n_states, n_actions, branching=1 + int(rng.integers(2)))
            drawn = rng.permutation(n_states) < starts
            rho = np.where(drawn, rho + 0.1, 0.0) / np.where(drawn, rho + 0.1, 0.0).sum()
            given = (P, size * r, g, rho)
            returns, trap = _returns(*given), _worst_trap(*given)
            apart = 0.05 * size
            if starts < n_states:
                if min(returns.max() - trap, trap - returns.min()) <= apart:
                    continue
                others = [_worst_with(*given, from_the_start=True), _worst_with(*given, myopic=True)]
                found = [trap, *others, returns.max(), returns.min()]
                if any(abs(one - other) <= apart for one, other in combinations(found, 2)):
                    continue
            if _is_clear(*given):
                return Instance(label, given)

    yield instance("a single start state and two actions", 4, 2, 0.9, 1)
    yield instance("a single start state and three actions", 4, 3, 0.8, 1)
    yield instance("five states", 5, 2, 0.95, 1)
    yield instance("two start states", 5, 2, 0.9, 2)
    yield instance("rewards of size 1e3", 4, 2, 0.9, 1, size=1e3)
    yield instance("a start everywhere", 4, 3, 0.9, 4)


def _is_clear(P: Array, r: Array, g: float, rho: Array) -> bool:
    """Tell whether all that is not 0 is far from it: visits, and what a change in one state gains."""
    policies = _deterministic(*r.shape)
    values = worth_of(P[None], (policies * r).sum(axis=-1), g, policies)
    visits = np.array([visited(P, g, rho, policy) for policy in policies])
    ahead = r + g * np.einsum("sat,nt->nsa", P, values)
    gains = np.abs(ahead - (policies * ahead).sum(axis=-1, keepdims=True))
    few = ((visits > 1e-12) & (visits < 1e-3)).any()
    small = ((gains > 1e-12 * np.abs(values).max()) & (gains < 1e-3)).any()
    return not few and not small


worst_trap = Task(
    _worst_trap,
    _draw_trap,
    (
        Mistake(
            "Your number is the optimal return, but there are stationary policies that earn less.",
            lambda P, r, g, rho: float(_returns(P, r, g, rho).max()),
        ),
        Mistake(
            "Your policies have to be nothing at all: the least return of all policies is no trap.",
            lambda P, r, g, rho: float(_returns(P, r, g, rho).min()),
        ),
        Mistake(
            "Your policies have to be greedy where the agent starts; it matters wherever they come.",
            lambda *given: _worst_with(*given, from_the_start=True),
        ),
        Mistake(
            "Your policies have to be greedy for today's reward alone.",
            lambda *given: _worst_with(*given, myopic=True),
        ),
        Mistake(
            "Your number is how much the worst stationary policy loses; its return is asked.",
            lambda P, r, g, rho: float(_returns(P, r, g, rho).max()) - _worst_trap(P, r, g, rho),
            # Where all stationary policies are optimal a loss is nothing but rounding.
            lambda found, *given: (
                abs(found + _worst_trap(*given) - _returns(*given).max()) <= 1e-6 * np.abs(given[1]).max()
            ),
        ),
        Mistake(
            "Your number is a return per step; all steps count, discounted.",
            lambda P, r, g, rho: (1 - g) * _worst_trap(P, r, g, rho),
        ),
        Mistake(
            "Your number looks from the worst state, not from the start.",
            lambda P, r, g, rho: _worst_with(P, r, g, rho, worth=lambda values: values.min(axis=1)),
        ),
        Mistake(
            "Your number looks from all states alike, not from the start.",
            lambda P, r, g, rho: _worst_with(P, r, g, rho, worth=lambda values: values.mean(axis=1)),
        ),
    ),
)
