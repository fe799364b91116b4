"""Problem set 04: what each state costs, the smallest exact weight, ε-minimisers of a penalised table.

Each `Task` is called with the student's function, and with a seed for other instances.
"""

from collections.abc import Callable, Iterator

import numpy as np

from ..models import MDP
from ..penalties import value_penalty
from ..planning import solve
from ..regularizers import Entropy, Regularizer, SquaredNorm
from ..simplex import random_policy
from ..typing import Array
from ..worlds import random_mdp
from . import Instance, Mistake, Task

# Task 1: what each state costs, h_s(u) = ½‖u − π₀(·|s)‖². Arguments: P, r, γ, ρ, τ, π₀, π.


def _levels(scores: Array) -> Array:
    """Return the ν of each row with Σ_a (scores − ν)₊ = 1, by dropping what lies below until nothing does."""
    active = np.ones(scores.shape, dtype=bool)
    while True:
        level = (np.where(active, scores, 0.0).sum(axis=1) - 1) / active.sum(axis=1)
        kept = active & (scores > level[:, None])
        if (kept == active).all():
            result: Array = level
            return result
        active = kept


def _policy_value(transition: Array, gain: Array, discount: float, policy: Array) -> Array:
    """Return (I − γP_π)⁻¹ gain."""
    moves = np.einsum("sa,sat->st", policy, transition)
    result: Array = np.linalg.solve(np.eye(len(gain)) - discount * moves, gain)
    return result


def _distance(policy: Array, prior: Array) -> Array:
    result: Array = 0.5 * ((policy - prior) ** 2).sum(axis=1)
    return result


def _best(transition: Array, reward: Array, discount: float, temperature: float, prior: Array) -> tuple[Array, Array]:
    """Return π* and Q*, by policy iteration with projections onto the simplex."""
    policy, value = prior, np.full(len(reward), -np.inf)
    while True:
        gain = (policy * reward).sum(axis=1) - temperature * _distance(policy, prior)
        better = _policy_value(transition, gain, discount, policy)
        ahead = reward + discount * transition @ better
        if (better - value).max() <= 1e-13 * np.abs(better).max():
            return policy, ahead
        scores = prior + ahead / temperature
        policy, value = np.maximum(scores - _levels(scores)[:, None], 0.0), better
        policy = policy / policy.sum(axis=1, keepdims=True)


def _visits(transition: Array, discount: float, initial: Array, policy: Array) -> Array:
    """Return the occupancy from the values of the rewards that pay 1 in one state each."""
    worth = _policy_value(transition, np.eye(len(initial)), discount, policy)
    result: Array = initial @ worth
    return result


def _prices(
    transition: Array,
    reward: Array,
    discount: float,
    initial: Array,
    temperature: float,
    prior: Array,
    policy: Array,
) -> Array:
    """Measure each gap as a squared distance from π* and what is played below the level, not by its definition."""
    best, ahead = _best(transition, reward, discount, temperature, prior)
    scores = prior + ahead / temperature
    below = np.maximum(_levels(scores)[:, None] - scores, 0.0)
    gap = temperature * (0.5 * ((policy - best) ** 2).sum(axis=1) + (policy * below).sum(axis=1))
    result: Array = _visits(transition, discount, initial, policy) * gap
    return result


def _gap(
    ahead: Array, temperature: float, prior: Array, policy: Array, maximiser: Array, charge: float | None = None
) -> Array:
    """Return max_u {⟨u,q⟩ − τh(u)} − ⟨π,q⟩ + charge h(π), the charge τ unless another is given."""
    top = (maximiser * ahead).sum(axis=1) - temperature * _distance(maximiser, prior)
    paid = temperature if charge is None else charge
    result: Array = top - (policy * ahead).sum(axis=1) + paid * _distance(policy, prior)
    return result


def _greedy(ahead: Array, temperature: float, prior: Array) -> Array:
    scores = prior + ahead / temperature
    result: Array = np.maximum(scores - _levels(scores)[:, None], 0.0)
    return result


def _weighted_by(weigh: Callable[..., Array]) -> Callable[..., Array]:
    """Return the mistake of other weights than the occupancy of π; weigh gets (P, γ, ρ, π, π*)."""

    def compute(P: Array, r: Array, g: float, rho: Array, t: float, prior: Array, pi: Array) -> Array:
        best, ahead = _best(P, r, g, t, prior)
        result: Array = weigh(P, g, rho, pi, best) * _gap(ahead, t, prior, pi, best)
        return result

    return compute


def _backwards(P: Array, g: float, rho: Array, pi: Array, best: Array) -> Array:
    return _policy_value(P, rho, g, pi)


def _own_value(P: Array, r: Array, g: float, t: float, prior: Array, pi: Array) -> Array:
    return _policy_value(P, (pi * r).sum(axis=1) - t * _distance(pi, prior), g, pi)


def _loss(P: Array, r: Array, g: float, t: float, prior: Array, pi: Array) -> Array:
    """Return V* − V^π."""
    best, _ = _best(P, r, g, t, prior)
    return _own_value(P, r, g, t, prior, best) - _own_value(P, r, g, t, prior, pi)


def _distances_only(P: Array, r: Array, g: float, rho: Array, t: float, prior: Array, pi: Array) -> Array:
    best, _ = _best(P, r, g, t, prior)
    result: Array = _visits(P, g, rho, pi) * t * _distance(pi, best)
    return result


def _charged(rate: Callable[[float], float]) -> Callable[..., Array]:
    """Return the mistake of charging π's own row at another rate than τ."""

    def compute(P: Array, r: Array, g: float, rho: Array, t: float, prior: Array, pi: Array) -> Array:
        best, ahead = _best(P, r, g, t, prior)
        result: Array = _visits(P, g, rho, pi) * _gap(ahead, t, prior, pi, best, rate(t))
        return result

    return compute


def _own_values_ahead(P: Array, r: Array, g: float, rho: Array, t: float, prior: Array, pi: Array) -> Array:
    ahead = r + g * P @ _own_value(P, r, g, t, prior, pi)
    result: Array = _visits(P, g, rho, pi) * _gap(ahead, t, prior, pi, _greedy(ahead, t, prior))
    return result


def _linear_part_only(P: Array, r: Array, g: float, rho: Array, t: float, prior: Array, pi: Array) -> Array:
    """Take ½‖u‖² − ⟨u, π₀⟩ for h, as if ½‖π₀‖² were the same in every state."""
    return _prices(P, r + t * _distance(prior, np.zeros_like(prior))[:, None], g, rho, t, prior, pi)


def _unregularised(P: Array, r: Array, g: float, rho: Array, t: float, prior: Array, pi: Array) -> Array:
    """Measure max_a Q(s,a) − ⟨π, Q⟩ with the Q* of τ = 0."""
    ahead = solve(MDP(P, r, g, rho)).action_value
    result: Array = _visits(P, g, rho, pi) * (ahead.max(axis=1) - (pi * ahead).sum(axis=1))
    return result


def _by_the_library(regularizer: Regularizer, size: float) -> Callable[..., Array]:
    """Return the mistake of a reward r + τπ₀ − size τ‖π₀‖² and a regulariser that do not make h together."""

    def compute(P: Array, r: Array, g: float, rho: Array, t: float, prior: Array, pi: Array) -> Array:
        paid = r + t * (prior - size * (prior**2).sum(axis=1, keepdims=True))
        penalty = value_penalty(MDP(P, paid, g, rho, t, regularizer), pi)
        result: Array = penalty.weight * penalty.gap
        return result

    return compute


def _other_values_ahead(shift: bool) -> Callable[..., Array]:
    """Return the mistake of values ahead without regulariser, or (shift) with that of the plain squared norm."""

    def compute(P: Array, r: Array, g: float, rho: Array, t: float, prior: Array, pi: Array) -> Array:
        model = MDP(P, r, g, rho, t, SquaredNorm()) if shift else MDP(P, r, g, rho)
        ahead = solve(model).action_value
        result: Array = _visits(P, g, rho, pi) * _gap(ahead, t, prior, pi, _greedy(ahead, t, prior))
        return result

    return compute


def _prior_counted_twice(P: Array, r: Array, g: float, rho: Array, t: float, prior: Array, pi: Array) -> Array:
    """Take Q* of the shifted reward, and charge π for leaving the prior once more."""
    best, ahead = _best(P, r, g, t, prior)
    shifted = ahead + t * prior - t * _distance(prior, np.zeros_like(prior))[:, None]
    top = (best * ahead).sum(axis=1) - t * _distance(best, prior)
    result: Array = _visits(P, g, rho, pi) * (top - (pi * shifted).sum(axis=1) + t * _distance(pi, prior))
    return result


def _best_action(P: Array, r: Array, g: float, rho: Array, t: float, prior: Array, pi: Array) -> Array:
    """Measure the gap from the largest Q*, which no row earns without a charge."""
    _, ahead = _best(P, r, g, t, prior)
    gap = ahead.max(axis=1) - (pi * ahead).sum(axis=1) + t * _distance(pi, prior)
    result: Array = _visits(P, g, rho, pi) * gap
    return result


def _maximiser_free_of_charge(P: Array, r: Array, g: float, rho: Array, t: float, prior: Array, pi: Array) -> Array:
    best, ahead = _best(P, r, g, t, prior)
    result: Array = _visits(P, g, rho, pi) * (((best - pi) * ahead).sum(axis=1) + t * _distance(pi, prior))
    return result


def _draw_prices(rng: np.random.Generator) -> Iterator[Instance]:
    for n_states, n_actions, discount, temperature in ((5, 3, 0.9, 0.7), (7, 4, 0.6, 3.0)):
        kernel = random_mdp(rng, n_states, n_actions, discount, branching=2).transition
        reward, start = rng.normal(size=(n_states, n_actions)), rng.dirichlet(np.ones(n_states))
        prior, policy = random_policy(rng, n_states, n_actions), random_policy(rng, n_states, n_actions)
        label = f"γ = {discount} and τ = {temperature}"
        yield Instance(label, (kernel, reward, discount, start, temperature, prior, policy))
    fixed = np.eye(4)[rng.integers(4, size=7)]
    yield Instance("a deterministic policy", (kernel, reward, 0.6, start, 3.0, prior, fixed))
    sure = _sure_in_some_states(prior)
    yield Instance("a prior that is sure of itself in some states", (kernel, reward, 0.6, start, 3.0, sure, policy))
    yield Instance("a small temperature", (kernel, reward, 0.6, start, 0.05, prior, policy))
    yield Instance("a single start state", (kernel, reward, 0.6, np.eye(7)[rng.integers(7)], 3.0, prior, policy))
    yield Instance("rewards of size 1e3", (kernel, 1e3 * reward, 0.6, start, 300.0, prior, policy))
    once = _best(kernel, reward, 0.6, 3.0, prior)[0].copy()
    once[start.argmax()] = np.eye(4)[once[start.argmax()].argmin()]
    yield Instance("a policy that errs in one state", (kernel, reward, 0.6, start, 3.0, prior, once))


def _sure_in_some_states(prior: Array) -> Array:
    """Return a prior that is deterministic in every other state."""
    sure = np.eye(prior.shape[1])[prior.argmax(axis=1)]
    result: Array = np.where((np.arange(len(prior)) % 2 == 0)[:, None], sure, prior)
    return result


WRONG_SIZE = "Part of your regulariser depends on the state and has the wrong size; values of other states feel it."
ENTROPY = "Your regulariser is the entropy (the library's, if no other is named), not a squared distance."

prices = Task(
    _prices,
    _draw_prices,
    (
        Mistake(
            "Your prices are weighted by where one starts, not by where the policy goes.",
            _weighted_by(lambda P, g, rho, pi, best: rho),
        ),
        Mistake(
            "Your prices are weighted by the visits of π*, which is not the policy that errs.",
            _weighted_by(lambda P, g, rho, pi, best: _visits(P, g, rho, best)),
        ),
        Mistake(
            "Your prices are averages per step: the visits of your occupancy sum to 1.",
            _weighted_by(lambda P, g, rho, pi, best: (1 - g) * _visits(P, g, rho, pi)),
        ),
        Mistake(
            "Your occupancy flows backwards: look at which index of P_π is the state one comes from.",
            _weighted_by(_backwards),
        ),
        Mistake(
            "Your prices have the right sum, but each is what a start in the state loses, not what erring there costs.",
            lambda P, r, g, rho, t, prior, pi: rho * _loss(P, r, g, t, prior, pi),
        ),
        Mistake(
            "Your prices count what is lost later too, at every visit once more.",
            lambda P, r, g, rho, t, prior, pi: _visits(P, g, rho, pi) * _loss(P, r, g, t, prior, pi),
        ),
        Mistake(
            "Your gap is a squared distance from π* alone; a row can be wrong in a direction in which π* has no room.",
            _distances_only,
        ),
        Mistake("Your gap does not charge the policy for leaving the prior.", _charged(lambda t: 0.0)),
        Mistake("Your gap charges the policy without the temperature, so it is no reward.", _charged(lambda t: 1.0)),
        Mistake("Your gap pays the policy for leaving the prior: a sign is wrong.", _charged(lambda t: -t)),
        Mistake("Your gap looks ahead with the policy's own values.", _own_values_ahead),
        Mistake(
            "Your regulariser leaves out a part that depends on the state, and values of later states feel it.",
            _linear_part_only,
        ),
        Mistake(
            "Your regulariser forgets the prior: it is the plain squared norm.",
            lambda P, r, g, rho, t, prior, pi: _prices(
                P, r - t * prior + t * _distance(prior, np.zeros_like(prior))[:, None], g, rho, t, prior, pi
            ),
        ),
        Mistake(
            "Your regulariser lacks its factor ½.",
            lambda P, r, g, rho, t, prior, pi: _prices(P, r, g, rho, 2 * t, prior, pi),
        ),
        Mistake("Your gap knows no regulariser: it is the one for τ = 0.", _unregularised),
        Mistake(WRONG_SIZE, _by_the_library(SquaredNorm(), 1.0)),
        Mistake(WRONG_SIZE, _by_the_library(SquaredNorm(), -0.5)),
        Mistake(ENTROPY, _by_the_library(Entropy(), 0.5)),
        Mistake(ENTROPY, _by_the_library(Entropy(), 0.0)),
        Mistake("Your Q* knows nothing of the charge that is still to come.", _other_values_ahead(False)),
        Mistake("Your Q* is that of the plain squared norm, which forgets the prior.", _other_values_ahead(True)),
        Mistake("Your gap counts the prior twice, in the reward and in the charge.", _prior_counted_twice),
        Mistake("Your gap compares with the best single action, which is not free of charge either.", _best_action),
        Mistake(
            "Your gap compares with the best row, but lets it leave the prior free of charge.",
            _maximiser_free_of_charge,
        ),
        Mistake(
            "Your prices are negative: no policy is better than the best.",
            lambda P, r, g, rho, t, prior, pi: -_prices(P, r, g, rho, t, prior, pi),
        ),
    ),
)


# Task 2: the smallest exact weight. Arguments: γ, ρ₀, q (found), w (pay elsewhere), g (gain), κ (cost).


def _clerk(discount: float, found: float, pay: float, wage: float, stays: bool) -> tuple[float, float]:
    """Return the clerk's value at work, and the discounted steps at work from there."""
    moves = np.array([[1.0, 0.0] if stays else [1 - found, found], [0.0, 1.0]])
    gains = np.array([[wage if stays else 0.0, 1.0], [pay, 0.0]])
    value, steps = np.linalg.solve(np.eye(2) - discount * moves, gains)[0]
    return float(value), float(steps)


def _smallest_weight(discount: float, at_work: float, found: float, pay: float, gain: float, cost: float) -> float:
    """Bisect on λ: is min F_λ as large as min φ? As functions of the wage both branches are parabolas."""
    leaving, few = _clerk(discount, found, pay, 0.0, stays=False)
    (at_zero, many), (at_one, _) = (_clerk(discount, found, pay, wage, stays=True) for wage in (0.0, 1.0))
    flip = (leaving - at_zero) / (at_one - at_zero)  # the value of staying is affine in the wage
    wages = flip * np.array([0.0, 0.5, 1.0])
    stayed = [_clerk(discount, found, pay, wage, stays=True)[0] for wage in wages[:2]]
    penalty = at_work * np.array([leaving - stayed[0], leaving - stayed[1], 0.0])  # 0 at the flip
    # Everything is measured from f at the flip, where the clerk stays.
    optimum = min(0.0, gain * at_work * (many - few) - cost * flip**2)

    def too_small(weight: float) -> bool:
        left, middle, _ = cost * (wages**2 - flip**2) + weight * penalty  # the third is 0
        bend, slope = 2 * (left - 2 * middle), 4 * middle - 3 * left
        t = float(np.clip(-slope / (2 * bend), 0.0, 1.0))
        # The parabola through the three points; in this form it is exactly 0 at t = 1.
        return bool((1 - t) * ((1 - 2 * t) * left + 4 * t * middle) < optimum)

    low, high = 0.0, 1.0
    while too_small(high):
        high *= 2
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if too_small(middle) else (low, middle)
    return high


def _tangent(
    g: float,
    rho: float,
    q: float,
    w: float,
    gain: float,
    cost: float,
    *,
    flip: float | None = None,
    few: float | None = None,
    sign: float = -1.0,
) -> float:
    """Return the weight in closed form; another flip, another number of steps of a leaving clerk, or the other root."""
    flip = _flip(g, q, w) if flip is None else flip
    few = 1 / (1 - g + g * q) if few is None else few
    worth = gain * rho * (1 / (1 - g) - few)
    return 2 * cost * (1 - g) / rho * (flip + sign * np.sqrt(max(flip**2 - worth / cost, 0.0)))


def _flip(g: float, q: float, w: float) -> float:
    return g * q * w / (1 - g + g * q)


def _worth(g: float, rho: float, q: float, gain: float) -> float:
    """Return what the employer gains, in all, by a clerk who stays instead of leaving."""
    return gain * rho * (1 / (1 - g) - 1 / (1 - g + g * q))


def _chord(g: float, rho: float, q: float, w: float, gain: float, cost: float) -> float:
    """Compare with the wage 0 only."""
    flip = _flip(g, q, w)
    return (1 - g) / rho * min(cost * flip**2, _worth(g, rho, q, gain)) / flip


def _only_if_worth(otherwise: Callable[..., float]) -> Callable[..., float]:
    """Return the mistake of another weight where the clerk is not worth the wage."""

    def compute(g: float, rho: float, q: float, w: float, gain: float, cost: float) -> float:
        if _worth(g, rho, q, gain) >= cost * _flip(g, q, w) ** 2:
            return _tangent(g, rho, q, w, gain, cost)
        return otherwise(g, rho, q, w, gain, cost)

    return compute


def _draw_weight(rng: np.random.Generator) -> Iterator[Instance]:
    """Draw clerks that are worth `share` times what it costs to keep them."""

    def arguments(discount: float, share: float, *, certain: bool = False, size: float = 1.0) -> tuple[float, ...]:
        at_work, found = rng.uniform(0.3, 0.9), 1.0 if certain else rng.uniform(0.2, 0.7)
        pay, cost = size * rng.uniform(0.8, 2.0), rng.uniform(0.5, 3.0)
        gain = share * cost * _flip(discount, found, pay) ** 2 / _worth(discount, at_work, found, 1.0)
        return discount, at_work, found, pay, gain, cost

    yield Instance("a clerk who is well worth the wage, γ = 0.9", arguments(0.9, rng.uniform(2.0, 4.0)))
    yield Instance("a clerk who is well worth the wage, γ = 0.5", arguments(0.5, rng.uniform(2.0, 4.0)))
    yield Instance("a clerk who is just worth the wage", arguments(0.8, 1.03))
    yield Instance("a clerk who is not quite worth the wage", arguments(0.8, 0.97))
    yield Instance("a clerk who is not worth the wage", arguments(0.9, rng.uniform(0.3, 0.6)))
    yield Instance("a clerk who is not worth the wage by far", arguments(0.6, 0.05))
    yield Instance("another job at the first attempt", arguments(0.9, 1.5, certain=True))
    yield Instance("a pay of size 1e3", arguments(0.8, 0.5, size=1e3))


BETWEEN = "Your weight guards against the wage 0, but not against the wages between."

smallest_exact_weight = Task(
    _smallest_weight,
    _draw_weight,
    (
        Mistake(
            "Your weight is the one for a cost that is linear in the wage.",
            lambda g, rho, q, w, gain, cost: cost * (1 - g) / rho,
        ),
        Mistake(
            "Your weight would do, but where a clerk is not worth the wage a smaller one does too.",
            lambda g, rho, q, w, gain, cost: 2 * cost * _flip(g, q, w) * (1 - g) / rho,
        ),
        Mistake(BETWEEN, _chord),
        Mistake(BETWEEN, lambda g, rho, q, w, gain, cost: cost * _flip(g, q, w) * (1 - g) / rho),
        Mistake(BETWEEN, _only_if_worth(_chord)),
        Mistake(
            "Your weight is 0 where the clerk is not worth the wage, but without a price that clerk stays for nothing.",
            _only_if_worth(lambda *arguments: 0.0),
        ),
        Mistake(
            "Your weight is for a penalty that counts the clerk's first step only; the value penalty counts all.",
            lambda g, rho, q, w, gain, cost: _tangent(g, rho, q, w, gain, cost) / (1 - g),
        ),
        Mistake(
            "Your weight is for a clerk who is at work at the start for sure.",
            lambda g, rho, q, w, gain, cost: rho * _tangent(g, rho, q, w, gain, cost),
        ),
        Mistake(
            "Your clerk flips at the lesson's wage, as if the first attempt to leave succeeded.",
            lambda g, rho, q, w, gain, cost: _tangent(g, rho, q, w, gain, cost, flip=g * w),
        ),
        Mistake(
            "Your clerk flips too late, as if the pay elsewhere began in the very step of leaving.",
            lambda g, rho, q, w, gain, cost: _tangent(g, rho, q, w, gain, cost, flip=_flip(g, q, w) / g),
        ),
        Mistake(
            "Your weight solves the right equation, but the equation has two solutions.",
            lambda g, rho, q, w, gain, cost: _tangent(g, rho, q, w, gain, cost, sign=1.0),
        ),
        Mistake(
            "Your employer gains nothing from a clerk who leaves; that clerk is at work while the attempts fail.",
            lambda g, rho, q, w, gain, cost: _tangent(g, rho, q, w, gain, cost, few=0.0),
        ),
        Mistake(
            "Your employer gains from a leaving clerk as if the first attempt succeeded.",
            lambda g, rho, q, w, gain, cost: _tangent(g, rho, q, w, gain, cost, few=1.0),
        ),
        Mistake(
            "Your weight does not know what a step of work gains the employer.",
            lambda g, rho, q, w, gain, cost: _tangent(g, rho, q, w, 1.0, cost),
        ),
        Mistake(
            "Your employer gains from a clerk who is at work at the start for sure.",
            lambda g, rho, q, w, gain, cost: _tangent(g, rho, q, w, gain / rho, cost),
        ),
    ),
    tolerance=1e-5,
    not_finite="Your weight is NaN or infinite (a root of a negative number?), but a finite one is enough",
)


# Task 3: ε-minimisers of a penalised table. Arguments: f (N, M), p (N, M), λ, ε.


def _near_minimisers(f: Array, p: Array, weight: float, slack: float) -> Array:
    penalised = f + weight * p
    result: Array = penalised <= penalised.min() + slack
    return result


def _worst_case(f: Array, p: Array, weight: float, slack: float) -> Array:
    """Walk through the points in the order of their penalties, with the least f so far."""
    order = np.lexsort((f.ravel(), p.ravel()))
    least, feasible = np.inf, np.inf
    near = _near_minimisers(f, p, weight, slack).ravel()
    worst = np.full(3, -np.inf)
    for k in order:
        value, level = f.flat[k], p.flat[k]
        least = min(least, value)
        feasible = min(feasible, value) if level == 0 else feasible
        if near[k]:
            worst = np.maximum(worst, [level, value - feasible, value - least])
    return worst


def _measured(
    f: Array,
    p: Array,
    near: Array,
    *,
    feasible: float | None = None,
    level: float | None = None,
    strict: bool = False,
) -> Array:
    """Return the three columns, one row for each point of `near`."""
    feasible = f[p == 0].min() if feasible is None else feasible
    rows = []
    for value, own in zip(f[near], p[near], strict=True):
        inside = p < own if strict else p <= (own if level is None else max(own, level))
        rows.append([own, value - feasible, value - min(f[inside].min(initial=np.inf), value)])
    return np.array(rows)


def _bound(f: Array, weight: float, slack: float) -> float:
    return float((np.ptp(f) + slack) / weight)


def _within_rows(f: Array, p: Array, weight: float, slack: float) -> Array:
    """Tell which points are ε-minimisers among those with the same x."""
    penalised = f + weight * p
    result: Array = penalised <= penalised.min(axis=1, keepdims=True) + slack
    return result


def _strictly(f: Array, p: Array, weight: float, slack: float) -> Array:
    penalised = f + weight * p
    result: Array = (penalised < penalised.min() + slack) | (penalised == penalised.min())
    return result


def _same_x(f: Array, p: Array, weight: float, slack: float) -> Array:
    """Compare each point with those of the same x only, for the third number."""
    near = _near_minimisers(f, p, weight, slack)
    result = _measured(f, p, near).max(axis=0)
    regrets = [
        f[i, j] - f[i][p[i] <= p[i, j]].min() for i in range(f.shape[0]) for j in range(f.shape[1]) if near[i, j]
    ]
    result[2] = max(regrets)
    return result


def _changed(index: int, change: Callable[..., float]) -> Callable[..., Array]:
    """Return the mistake of another number at one place; change gets (f, p, λ, ε, the three right numbers)."""

    def compute(f: Array, p: Array, weight: float, slack: float) -> Array:
        result = _worst_case(f, p, weight, slack)
        result[index] = change(f, p, weight, slack, result)
        return result

    return compute


def _third(compare: Callable[[Array, Array, float], float]) -> Callable[..., Array]:
    """Return the mistake of other competitors; compare gets f and p of the whole table, and the level of one point."""

    def compute(f: Array, p: Array, weight: float, slack: float) -> Array:
        near = _near_minimisers(f, p, weight, slack)
        result = _worst_case(f, p, weight, slack)
        result[2] = max(value - compare(f, p, own) for value, own in zip(f[near], p[near], strict=True))
        return result

    return compute


def _running(turn: int) -> Callable[..., Array]:
    """Return the mistake of a running minimum over points sorted by p only; turn = −1 turns the order of ties."""

    def compute(f: Array, p: Array, weight: float, slack: float) -> Array:
        values, levels = f.ravel()[::turn], p.ravel()[::turn]
        order = np.argsort(levels, kind="stable")
        near = _near_minimisers(values, levels, weight, slack)[order]
        result = _worst_case(f, p, weight, slack)
        result[2] = (values[order] - np.minimum.accumulate(values[order]))[near].max()
        return result

    return compute


def _of_the_first(f: Array, p: Array, weight: float, slack: float) -> Array:
    """Return the numbers of the first exact minimiser."""
    near = np.zeros(f.shape, dtype=bool)
    near.flat[(f + weight * p).argmin()] = True
    result: Array = _measured(f, p, near)[0]
    return result


def _of_one_point(f: Array, p: Array, weight: float, slack: float) -> Array:
    """Return the numbers of the ε-minimiser with the largest penalty."""
    rows = _measured(f, p, _near_minimisers(f, p, weight, slack))
    result: Array = rows[rows[:, 0].argmax()]
    return result


_same_level = _third(lambda f, p, own: float(f[p == own].min()))


def _table(rng: np.random.Generator, n_upper: int, n_lower: int) -> tuple[Array, Array]:
    """Draw f and p in eighths, p with a zero in each row, so that sums and comparisons are exact.

    f tends to fall where p grows, as it does where breaking the constraint pays.
    """
    p = rng.integers(0, 17, size=(n_upper, n_lower)) / 8
    p -= p.min(axis=1, keepdims=True)
    p[rng.random(p.shape) < 0.15] = 0.0
    f = rng.integers(-16, 17, size=p.shape) / 8 - 1.5 * p
    return f, p


def _draw_tables(rng: np.random.Generator) -> Iterator[Instance]:
    def instance(
        label: str, n_upper: int, n_lower: int, weight: float, slack: float, *tempting: Callable[..., Array]
    ) -> Instance:
        """Draw a table on which those mistakes show, and some others."""
        while True:
            f, p = _table(rng, n_upper, n_lower)
            drawn = (f, p, weight, slack)
            if slack == 0:
                return Instance(label, drawn)
            right, rows = _worst_case(*drawn), _measured(f, p, _near_minimisers(*drawn))
            # Points exactly ε above the minimum must count, no point may be the worst in all respects, the regret be
            # neither 0 nor the theorem's ε, and the pessimist's optimum not f*.
            strictly = _measured(f, p, _strictly(*drawn)).max(axis=0)
            fears = np.where(p == 0, f, -np.inf).max(axis=1).min()
            if (
                (strictly != right).any()
                and not (rows == right).all(axis=1).any()
                and 0 < right[2] < slack
                and fears > f[p == 0].min()
                and all(mistake(*drawn)[2] != right[2] for mistake in tempting)
            ):
                return Instance(label, drawn)

    yield instance("a small weight", 6, 7, 0.5, 1.0, _same_level)
    yield instance("a moderate weight", 6, 7, 1.5, 0.75, _running(1))
    yield instance("a large weight", 9, 5, 8.0, 1.5)
    yield instance("many y and few x", 3, 20, 1.0, 0.5, _running(-1))
    yield instance("ε = 0", 6, 7, 1.0, 0.0)
    f, p, weight, slack = instance("", 6, 7, 2.0, 1.0, _running(1)).arguments
    yield Instance("objectives of size 1e3", (1024 * f, p, 1024 * weight, 1024 * slack))


SAME_LEVEL = "Your third number leaves out other points at the very same level."
NOT_ITS_OWN_LEVEL = "Your third number does not compare each point at its own level, but at a wider one."

worst_case = Task(
    _worst_case,
    _draw_tables,
    (
        Mistake(
            "Your set leaves out points that miss the minimum by exactly ε.",
            lambda f, p, weight, slack: _measured(f, p, _strictly(f, p, weight, slack)).max(axis=0),
        ),
        Mistake(
            "Your set holds the exact minimisers only.",
            lambda f, p, weight, slack: _measured(f, p, _near_minimisers(f, p, weight, 0.0)).max(axis=0),
        ),
        Mistake(
            "Your set holds the points that are nearly best for their own x; nearly best over all x and y is asked.",
            lambda f, p, weight, slack: _measured(f, p, _within_rows(f, p, weight, slack)).max(axis=0),
        ),
        Mistake("Your set holds the exact minimisers only.", _of_the_first),
        Mistake(
            "Your set is that of the weight 1, whatever weight is given.",
            lambda f, p, weight, slack: _measured(f, p, _near_minimisers(f, p, 1.0, slack)).max(axis=0),
        ),
        Mistake(
            "Your numbers are those of the best ε-minimiser; what can be said of every one is asked.",
            lambda f, p, weight, slack: _measured(f, p, _near_minimisers(f, p, weight, slack)).min(axis=0),
        ),
        Mistake("Your three numbers are those of one point, and another can be worse in one of them.", _of_one_point),
        Mistake(
            "Your first number is the theorem's bound on the penalty, not the penalty.",
            _changed(0, lambda f, p, weight, slack, right: _bound(f, weight, slack)),
        ),
        Mistake(
            "Your second number compares with the least f of the table, which breaks the constraint.",
            _changed(1, lambda f, p, weight, slack, right: right[1] + f[p == 0].min() - f.min()),
        ),
        Mistake(
            "Your second number compares with a pessimist's optimum, who fears the worst of the y with p = 0.",
            _changed(
                1,
                lambda f, p, weight, slack, right: (
                    right[1] + f[p == 0].min() - np.where(p == 0, f, -np.inf).max(axis=1).min()
                ),
            ),
        ),
        Mistake(
            "Your second number is never negative, but a penalised point may be better than f*.",
            _changed(1, lambda f, p, weight, slack, right: max(right[1], 0.0)),
        ),
        Mistake(
            "Your second number is a distance from f*; how far f lies above f* is asked.",
            _changed(
                1,
                lambda f, p, weight, slack, right: np.abs(
                    f[_near_minimisers(f, p, weight, slack)] - f[p == 0].min()
                ).max(),
            ),
        ),
        Mistake(
            "Your third number compares with the points where p = 0; the point's own level allows more.",
            _changed(2, lambda f, p, weight, slack, right: right[1]),
        ),
        Mistake(
            NOT_ITS_OWN_LEVEL,
            _changed(2, lambda f, p, weight, slack, right: f[_near_minimisers(f, p, weight, slack)].max() - f.min()),
        ),
        Mistake(
            NOT_ITS_OWN_LEVEL,
            _changed(
                2,
                lambda f, p, weight, slack, right: _measured(
                    f, p, _near_minimisers(f, p, weight, slack), level=right[0]
                ).max(axis=0)[2],
            ),
        ),
        Mistake(
            NOT_ITS_OWN_LEVEL,
            _changed(
                2,
                lambda f, p, weight, slack, right: _measured(
                    f, p, _near_minimisers(f, p, weight, slack), level=_bound(f, weight, slack)
                ).max(axis=0)[2],
            ),
        ),
        Mistake(
            SAME_LEVEL,
            lambda f, p, weight, slack: _measured(f, p, _near_minimisers(f, p, weight, slack), strict=True).max(axis=0),
        ),
        Mistake(SAME_LEVEL, _running(1)),
        Mistake(SAME_LEVEL, _running(-1)),
        Mistake("Your third number knows the very same level only; a smaller penalty is allowed too.", _same_level),
        Mistake(
            "Your third number is the theorem's bound ε; how large the regret really is is asked.",
            _changed(2, lambda f, p, weight, slack, right: slack),
        ),
        Mistake(
            "Your numbers are the theorem's bounds; how bad the ε-minimisers really are is asked.",
            lambda f, p, weight, slack: np.array([_bound(f, weight, slack), slack, slack]),
        ),
        Mistake("Your third number compares with points of the same x only.", _same_x),
    ),
)
