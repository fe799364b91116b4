"""Problem set 05: a reward with two given penalties, exploration, a certificate of gaps, the bias to first order.

Each `Task` is called with the student's function, and with a seed for other instances.
"""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import linprog

from ..baselines import hypergradient
from ..cases import reward_shaping
from ..evaluation import evaluate, policy_transition
from ..models import MDP
from ..penalties import bellman_penalty, value_penalty
from ..planning import optimality_operator, solve
from ..regularizers import Entropy, Regularizer, SquaredNorm
from ..simplex import random_policy
from ..typing import Array
from ..worlds import mixed_start, random_mdp
from . import Instance, Mistake, Task


def _garnet(
    rng: np.random.Generator,
    n_states: int,
    n_actions: int,
    discount: float,
    temperature: float = 0.0,
    regularizer: Regularizer | None = None,
) -> MDP:
    """Draw a sparse model with rewards of both signs and a start that is not uniform, nowhere below 0.02."""
    mdp = random_mdp(rng, n_states, n_actions, discount, branching=min(2, n_states))
    reward = rng.normal(size=(n_states, n_actions))
    start = mixed_start(rng.dirichlet(np.ones(n_states)), 0.02 * n_states)
    return MDP(mdp.transition, reward, discount, start, temperature, regularizer or Entropy())


def _occupancy(transition: Array, initial: Array, discount: float, policy: Array) -> Array:
    return evaluate(MDP(transition, np.zeros_like(policy), discount, initial), policy).occupancy


def _backwards(transition: Array, initial: Array, discount: float, policy: Array) -> Array:
    moves = np.einsum("sa,sat->st", policy, transition)
    result: Array = np.linalg.solve(np.eye(len(initial)) - discount * moves, initial)
    return result


# Task 1: a reward with two given penalties. Arguments: P, ρ, γ, y, V*, entries, share of p_B, share of p_V.

Entries = tuple[tuple[int, int], tuple[int, int]]


def _designed(
    P: Array, rho: Array, g: float, y: Array, V: Array, entries: Entries, share_b: float, share_v: float
) -> Array:
    """Measure both penalties of a loss of 1 in each entry; penalties are linear in the losses."""
    without = V[:, None] - g * P @ V
    measured = []
    for entry in entries:
        reward = without.copy()
        reward[entry] -= 1.0
        mdp = MDP(P, reward, g, rho)
        measured.append((bellman_penalty(mdp, y).value, value_penalty(mdp, y).value))
    losses = np.linalg.solve(np.transpose(measured), [share_b * (rho @ V), share_v * (rho @ V)])
    for entry, loss in zip(entries, losses, strict=True):
        without[entry] -= loss
    return without


def _losses(
    rho: Array, y: Array, entries: Entries, weights: Array, targets: tuple[float, float], *, played: bool = True
) -> Array:
    """Solve Σ_k weight(s_k) y(a_k|s_k) c_k = target, first row with weight ρ."""
    states = [state for state, _ in entries]
    chance = np.array([y[entry] if played else 1.0 for entry in entries])
    return np.linalg.solve(np.array([rho[states] * chance, weights[states] * chance]), np.array(targets))


def _lowered(base: Array, entries: Entries, losses: Array) -> Array:
    reward = base.copy()
    for entry, loss in zip(entries, losses, strict=True):
        reward[entry] -= loss
    return reward


def _designed_with(
    P: Array,
    rho: Array,
    g: float,
    y: Array,
    V: Array,
    entries: Entries,
    share_b: float,
    share_v: float,
    *,
    ahead: float | None = None,
    weights: Array | None = None,
    optimum: float | None = None,
    played: bool = True,
    sign: float = 1.0,
) -> Array:
    """Follow the taught way with one thing changed."""
    weights = _occupancy(P, rho, g, y) if weights is None else weights
    optimum = float(rho @ V) if optimum is None else optimum
    losses = _losses(rho, y, entries, weights, (share_b * optimum, share_v * optimum), played=played)
    return _lowered(V[:, None] - (g if ahead is None else ahead) * P @ V, entries, sign * losses)


def _whole_rows(
    P: Array, rho: Array, g: float, y: Array, V: Array, entries: Entries, share_b: float, share_v: float
) -> Array:
    optimum = float(rho @ V)
    weights = _occupancy(P, rho, g, y)
    losses = _losses(rho, y, entries, weights, (share_b * optimum, share_v * optimum), played=False)
    reward: Array = V[:, None] - g * P @ V
    for (state, _), loss in zip(entries, losses, strict=True):
        reward[state] -= loss
    return reward


def _draw_designed(rng: np.random.Generator) -> Iterator[Instance]:
    for n_states, n_actions, discount in ((4, 2, 0.9), (6, 3, 0.95), (5, 4, 0.6)):
        mdp = _garnet(rng, n_states, n_actions, discount)
        policy = 0.8 * random_policy(rng, n_states, n_actions) + 0.2 / n_actions
        value = rng.uniform(1.0, 3.0, size=n_states)
        yield _asked(rng, f"{n_states} states, {n_actions} actions and γ = {discount}", mdp, policy, value)
    fixed = np.eye(4)[rng.integers(4, size=5)]
    yield _asked(rng, "a deterministic policy", mdp, fixed, value)
    yield _asked(rng, "a V* that is the same everywhere", mdp, policy, np.full(5, float(rng.uniform(2.0, 3.0))))
    start = mixed_start(np.eye(5)[rng.integers(5)], 0.05)
    yield _asked(
        rng, "a start that hardly ever looks elsewhere", MDP(mdp.transition, mdp.reward, 0.6, start), policy, value
    )


def _asked(rng: np.random.Generator, label: str, mdp: MDP, policy: Array, value: Array) -> Instance:
    """Ask for the shares that two positive losses lead to, where d/ρ is least and where it is largest."""
    visits = evaluate(mdp, policy).occupancy
    order = np.argsort(visits / mdp.initial)
    actions = [int(policy[state].argmax()) for state in (order[0], order[-1])]
    entries = ((int(order[0]), actions[0]), (int(order[-1]), actions[1]))
    if rng.random() < 0.5:
        entries = entries[::-1]
    weights = np.array([[w[s] * policy[s, a] for s, a in entries] for w in (mdp.initial, visits)])
    share_b, share_v = weights @ rng.uniform(0.05, 0.5, size=2) / (mdp.initial @ value)
    arguments = (mdp.transition, mdp.initial, mdp.discount, policy, value, entries, float(share_b), float(share_v))
    return Instance(label, arguments)


designed_reward = Task(
    _designed,
    _draw_designed,
    (
        Mistake(
            "With your reward tomorrow's value counts in full, so V* is another one.",
            lambda *given: _designed_with(*given, ahead=1.0),
        ),
        Mistake(
            "Your reward pays V* itself in every step, so V* becomes many times larger.",
            lambda *given: _designed_with(*given, ahead=0.0),
        ),
        Mistake(
            "Your losses are chosen as if y always played the entry's action.",
            lambda *given: _designed_with(*given, played=False),
        ),
        Mistake(
            "Your penalties are the shares themselves, whatever the optimal return is.",
            lambda *given: _designed_with(*given, optimum=1.0),
        ),
        Mistake(
            "Your shares are of the average of V* over all states, not of the optimal return.",
            lambda *given: _designed_with(*given, optimum=float(np.mean(given[4]))),
        ),
        Mistake(
            "Your value penalty is an average per step: the visits of your occupancy sum to 1.",
            lambda *given: _designed_with(*given, weights=(1 - given[2]) * _occupancy(*given[:4])),
        ),
        Mistake(
            "Your occupancy flows backwards: look at which index of P_π is the state one comes from.",
            lambda *given: _designed_with(*given, weights=_backwards(*given[:4])),
        ),
        Mistake(
            "Your two shares are exchanged: the Bellman penalty has the one that the value penalty should have.",
            lambda P, rho, g, y, V, entries, bellman, value: _designed_with(P, rho, g, y, V, entries, value, bellman),
        ),
        Mistake(
            "Your two entries are raised and not lowered, so that their actions become the best of all.",
            lambda *given: _designed_with(*given, sign=-1.0),
        ),
        Mistake(
            "Your reward lowers every action of the two states, so that V* sinks and nothing is lost by choosing.",
            _whole_rows,
        ),
        Mistake(
            "Your reward has the right V*, but no action loses anything: both penalties are 0.",
            lambda *given: _designed_with(*given, sign=0.0),
        ),
    ),
)


# Task 2: how much exploration. Arguments: P, ρ_env, γ, y, κ.


def _sides(P: Array, start: Array, g: float, y: Array, bound: float) -> tuple[Array, Array]:
    """Return d − κρ in every state for no exploration and for nothing else."""
    even = np.full(len(start), 1 / len(start))
    return (
        _occupancy(P, start, g, y) - bound * start,
        _occupancy(P, even, g, y) - bound * even,
    )


def _least(P: Array, start: Array, g: float, y: Array, bound: float) -> float:
    """Minimise ε by a linear program: d_ε ≤ κρ_ε is linear in ε, and so is d_ε = (I − γP_y)⁻ᵀρ_ε, a variable too."""
    n = len(start)
    mdp = MDP(P, np.zeros_like(y), g, start)
    flow = np.eye(n) - g * policy_transition(mdp, y).T
    slope = 1 / n - start
    found = linprog(
        np.append(np.zeros(n), 1.0),
        A_ub=np.column_stack([np.eye(n), -bound * slope]),
        b_ub=bound * start,
        A_eq=np.column_stack([flow, -slope]),
        b_eq=start,
        bounds=[(0, None)] * n + [(0, 1)],
        method="highs",
    )
    return float(found.x[-1])


def _crossing(none: Array, full: Array, states: np.ndarray | None = None) -> float:
    """Return the least ε with (1−ε) none + ε full ≤ 0 where it has to fall for that."""
    keep = none > 1e-12 if states is None else (none > 1e-12) & states
    return float(np.max(none[keep] / (none[keep] - full[keep]), initial=0.0))


def _fixed_occupancy(P: Array, start: Array, g: float, y: Array, bound: float) -> float:
    visits = _occupancy(P, start, g, y)
    return _crossing(visits - bound * start, visits - bound / len(start))


def _uniform_occupancy(P: Array, start: Array, g: float, y: Array, bound: float) -> float:
    even = np.full(len(start), 1 / len(start))
    visits = _occupancy(P, even, g, y)
    return _crossing(visits - bound * start, visits - bound / len(start))


def _per_step(P: Array, start: Array, g: float, y: Array, bound: float) -> float:
    return _crossing(*_sides(P, start, g, y, bound / (1 - g)))


def _every_crossing(P: Array, start: Array, g: float, y: Array, bound: float) -> float:
    none, full = _sides(P, start, g, y, bound)
    crossings = none / (none - full)
    inside = np.isfinite(crossings) & (crossings >= 0) & (crossings <= 1)
    return float(np.max(crossings[inside], initial=0.0))


def _reversed_flow(P: Array, start: Array, g: float, y: Array, bound: float) -> float:
    even = np.full(len(start), 1 / len(start))
    return _crossing(_backwards(P, start, g, y) - bound * start, _backwards(P, even, g, y) - bound * even)


def _not_divided(P: Array, start: Array, g: float, y: Array, bound: float) -> float:
    ones = np.ones(len(start))
    return _crossing(
        _occupancy(P, start, g, y) - bound * start,
        np.linalg.solve(np.eye(len(start)) - g * np.einsum("sa,sat->ts", y, P), ones) - bound * ones,
    )


def _added(P: Array, start: Array, g: float, y: Array, bound: float) -> float:
    """Add ε·uniform to the start without taking ε away from it, but let the occupancy be right."""
    none, full = _sides(P, start, g, y, bound)
    keep = none > 1e-12
    return float(np.max(none[keep] / -full[keep], initial=0.0))


def _ratio(mdp: MDP, policy: Array, epsilon: float) -> float:
    start = mixed_start(mdp.initial, epsilon)
    visits = _occupancy(mdp.transition, start, mdp.discount, policy)
    reached = visits > 1e-12
    return float((visits[reached] / start[reached]).max())


NEAR_ZERO = 1e5  # where 0 is right: 1e-7 of it, since a tolerance is relative to 1e-12 at least


def _draw_exploration(rng: np.random.Generator) -> Iterator[Instance]:
    for n_states, n_actions, discount in ((6, 3, 0.9), (8, 2, 0.7)):
        mdp = _garnet(rng, n_states, n_actions, discount)
        start = np.eye(n_states)[rng.integers(n_states)]
        yield _bounded(rng, f"a single start state and γ = {discount}", mdp, start)
    pair = np.zeros(8)
    pair[rng.choice(8, size=2, replace=False)] = [0.7, 0.3]
    yield _bounded(rng, "two start states", mdp, pair)
    policy = random_policy(rng, 8, 2)
    enough = 1.2 * _ratio(mdp, policy, 0.0)
    arguments = (mdp.transition, mdp.initial, 0.7, policy, enough)
    yield Instance("a start that is good enough as it is", arguments, NEAR_ZERO)
    yield _funnel(rng)
    yield _room_never_entered(rng)


def _bounded(rng: np.random.Generator, label: str, mdp: MDP, start: Array) -> Instance:
    """Ask for the ratio of some ε on the branch where exploring more helps."""
    policy = random_policy(rng, mdp.n_states, mdp.n_actions)
    model = MDP(mdp.transition, mdp.reward, mdp.discount, start)
    grid = np.linspace(0.02, 1.0, 99)
    ratios = np.array([_ratio(model, policy, float(epsilon)) for epsilon in grid])
    most = int(ratios.argmin())
    epsilon = float(grid[most] * rng.uniform(0.3, 0.8))
    bound = _ratio(model, policy, epsilon)
    return Instance(label, (mdp.transition, start, mdp.discount, policy, bound))


def _funnel(rng: np.random.Generator) -> Instance:
    """Draw a model that flows into the start state, so that the uniform start is worse than a little exploration."""
    mdp = _garnet(rng, 6, 3, 0.9)
    home = rng.integers(6)
    transition = 0.3 * mdp.transition
    transition[:, :, home] += 0.7
    model = MDP(transition, mdp.reward, 0.9, mixed_start(np.eye(6)[home], 0.0))
    return _bounded(rng, "a policy that always comes back to the start", model, model.initial)


def _room_never_entered(rng: np.random.Generator) -> Instance:
    """Draw a model with two states that are neither started in nor entered, where d = ρ = 0."""
    inner = _garnet(rng, 4, 3, 0.9)
    transition = np.zeros((6, 3, 6))
    transition[:4, :, :4] = inner.transition
    transition[4:] = rng.dirichlet(np.ones(6), size=(2, 3))
    start = np.append(inner.initial, [0.0, 0.0])
    policy = random_policy(rng, 6, 3)
    model = MDP(transition, np.zeros((6, 3)), 0.9, start)
    arguments = (transition, start, 0.9, policy, 1.1 * _ratio(model, policy, 0.0))
    return Instance("states that are never reached", arguments, NEAR_ZERO)


exploration_needed = Task(
    _least,
    _draw_exploration,
    (
        Mistake(
            "Your occupancy is that of ρ_env, whatever ε is; y starts elsewhere once ρ is mixed.",
            _fixed_occupancy,
        ),
        Mistake(
            "Your occupancy is that of the uniform start, whatever ε is.",
            _uniform_occupancy,
        ),
        Mistake(
            "Your ε would be enough for every policy, but for this one a smaller ε is.",
            lambda P, start, g, y, bound: min(len(start) / (bound * (1 - g)), 1.0),
        ),
        Mistake(
            "Your ratio compares ρ with an average per step: the visits of your occupancy sum to 1.",
            _per_step,
        ),
        Mistake(
            "Your occupancy flows backwards: look at which index of P_π is the state one comes from.",
            _reversed_flow,
        ),
        Mistake(
            "Your ρ does not sum to 1: the uniform distribution has 1/S in every state.",
            _not_divided,
        ),
        Mistake(
            "Your ρ does not sum to 1: what goes to the uniform distribution has to be taken from ρ_env.",
            _added,
        ),
        Mistake(
            "Your number is the weight of ρ_env, not that of the uniform distribution.",
            lambda *given: 1 - _least(*given),
        ),
        Mistake(
            "With your ε there are states, outside of ρ_env, in which the guarantee fails.",
            lambda P, start, g, y, bound: _crossing(*_sides(P, start, g, y, bound), start > 0),
        ),
        Mistake(
            "Your ε is larger than necessary: in some states exploring more makes the ratio worse, not better.",
            _every_crossing,
        ),
        Mistake(
            "Your ε satisfies a condition on the average over the states, but the guarantee has to hold in each.",
            lambda *given: _on_average(*given),
        ),
    ),
)


def _on_average(P: Array, start: Array, g: float, y: Array, bound: float) -> float:
    """Ask the mean of d/ρ to be at most κ, by bisection."""
    mdp = MDP(P, np.zeros_like(y), g, start)

    def excess(epsilon: float) -> float:
        mixed = mixed_start(start, epsilon)
        return float((_occupancy(P, mixed, g, y) / mixed).mean()) - bound

    low, high = 1e-9, 1.0
    if excess(low) <= 0 or mdp.n_states == 1:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return high


# Task 3: a certificate that can fail. Arguments: model, y, the claimed gaps, tolerance.


def _claimed_value(mdp: MDP, policy: Array, gap: Array) -> Array:
    """Return the W that the claim predicts for V*: the value of y in the model that pays the gap on top."""
    paid = mdp.reward + np.asarray(gap)[:, None]
    model = MDP(mdp.transition, paid, mdp.discount, mdp.initial, mdp.temperature, mdp.regularizer)
    return evaluate(model, policy).value


def _gap_at(mdp: MDP, policy: Array, value: Array) -> Array:
    """Return max_u{⟨u,Q⟩ − τh(u)} − ⟨y,Q⟩ + τh(y) for Q = r + γP value, shape (S,)."""
    ahead = mdp.reward + mdp.discount * mdp.transition @ value
    best = mdp.regularizer.conjugate(ahead, mdp.temperature)
    result: Array = best - (policy * ahead).sum(axis=1) + mdp.temperature * mdp.regularizer.value(policy)
    return result


def _residual(mdp: MDP, policy: Array, gap: Array) -> Array:
    """Return TW − W as the gap of y at W less the gap that is claimed."""
    return _gap_at(mdp, policy, _claimed_value(mdp, policy, gap)) - gap


def _proved(mdp: MDP, policy: Array, gap: Array, tolerance: float) -> bool:
    return bool(np.abs(_residual(mdp, policy, gap)).max() <= (1 - mdp.discount) * tolerance)


def _residual_of(mdp: MDP, value: Array, temperature: float | None = None) -> float:
    model = mdp
    if temperature is not None:
        model = MDP(mdp.transition, mdp.reward, mdp.discount, mdp.initial, temperature, mdp.regularizer)
    return float(np.abs(optimality_operator(model, value) - value).max())


def _sandwiched(mdp: MDP, policy: Array, gap: Array, tolerance: float) -> bool:
    """The colleague's test: p_B ≤ p_V ≤ ‖d/ρ‖ p_B with both penalties from the gaps that are claimed."""
    visits = evaluate(mdp, policy).occupancy
    bellman, value = mdp.initial @ gap, visits @ gap
    largest = (visits / mdp.initial).max()
    return bool(bellman - 1e-9 <= value <= largest * bellman + 1e-9)


def _true_gap(mdp: MDP, policy: Array) -> Array:
    return bellman_penalty(mdp, policy).gap


def _draw_claims(rng: np.random.Generator) -> Iterator[Instance]:
    tight = 1e-6
    regularizers: tuple[tuple[str, float, Regularizer], ...] = (
        ("τ = 0", 0.0, Entropy()),
        ("the entropy", 0.5, Entropy()),
        ("the squared norm", 2.0, SquaredNorm()),
    )
    for name, temperature, regularizer in regularizers:
        mdp = _garnet(rng, 6, 3, 0.9, temperature, regularizer)
        policy = random_policy(rng, 6, 3)
        gap = _true_gap(mdp, policy)
        yield Instance(f"the right gaps, {name}", (mdp, policy, gap, tight))
        yield Instance(f"gaps of 0 for a random policy, {name}", (mdp, policy, np.zeros(6), tight))
        yield Instance(f"gaps at random, {name}", (mdp, policy, 3 * rng.random(6), tight))
        yield Instance(f"the right gaps with the wrong sign, {name}", (mdp, policy, -gap, tight))
        yield from _threshold(rng, name, mdp, policy)
    yield from _special_claims(rng, tight)


def _threshold(rng: np.random.Generator, name: str, mdp: MDP, policy: Array) -> Iterator[Instance]:
    """Ask a claim with small errors at random for a little less and a little more than what can be proved."""
    claim = _true_gap(mdp, policy) + 0.05 * rng.normal(size=mdp.n_states)
    provable = float(np.abs(_residual(mdp, policy, claim)).max()) / (1 - mdp.discount)
    yield Instance(f"gaps with errors and a tolerance just too tight, {name}", (mdp, policy, claim, 0.97 * provable))
    yield Instance(f"gaps with errors and a tolerance just wide enough, {name}", (mdp, policy, claim, 1.03 * provable))


def _special_claims(rng: np.random.Generator, tight: float) -> Iterator[Instance]:
    mdp = _garnet(rng, 6, 3, 0.9, 0.5)
    policy = random_policy(rng, 6, 3)
    gap = _true_gap(mdp, policy)
    visits = evaluate(mdp, policy).occupancy
    first, second = rng.choice(6, size=2, replace=False)
    shift = np.zeros(6)
    shift[first], shift[second] = 0.2 * visits[second], -0.2 * visits[first]
    yield Instance("errors in two states that cancel from ρ", (mdp, policy, gap + shift / visits.max(), tight))
    for label, size in (("too large", 0.1), ("too small", -0.1)):
        claim = gap + size * rng.uniform(0.9, 1.0, size=6)
        least = float(np.abs(_residual(mdp, policy, claim)).min()) / (1 - mdp.discount)
        yield Instance(f"gaps {label} in every state", (mdp, policy, claim, 0.8 * least))
    single = gap + 0.1 * np.eye(6)[first]
    provable = float(np.abs(_residual(mdp, policy, single)).max()) / (1 - mdp.discount)
    yield Instance("an error in one state only", (mdp, policy, single, 0.8 * provable))
    yield Instance(
        "a tolerance just above the error of one state", (mdp, policy, single, 1.05 * provable * (1 - mdp.discount))
    )
    actual = float(np.abs(_claimed_value(mdp, policy, single) - solve(mdp).value).max())
    yield Instance("a tolerance between the error and what is proved", (mdp, policy, single, (actual + provable) / 2))
    yield _unlike_errors(rng)
    yield _room_of_its_own(rng)
    yield _symmetric(rng, tight)
    hard = _garnet(rng, 6, 3, 0.9)
    best = solve(hard).policy
    rounding = 1e-12 * rng.choice([-1.0, 1.0], size=6)
    rounding[:2] = -1e-12, 1e-12
    yield Instance("an optimal policy, and gaps of ±1e-12 by rounding", (hard, best, rounding, tight))


def _unlike_errors(rng: np.random.Generator) -> Instance:
    """Draw a claim whose gaps are further off than the residual, at a tolerance that the residual just proves."""
    while True:
        mdp = _garnet(rng, 6, 3, 0.9, 0.5)
        best = solve(mdp)
        policy = np.eye(3)[best.policy.argmin(axis=1)]  # far from π*, so that it spreads an error differently
        signs = rng.choice([-1.0, 1.0], size=6) * rng.uniform(0.9, 1.0, size=6)
        error = evaluate(mdp, best.policy).solve(0.02 * signs)
        right = _true_gap(mdp, policy)
        claim = right + error - mdp.discount * policy_transition(mdp, policy) @ error  # its W is V* + error
        residual = float(np.abs(_residual(mdp, policy, claim)).max())
        if np.abs(claim - right).max() > 1.3 * residual:
            tolerance = 1.03 * residual / (1 - mdp.discount)
            return Instance("gaps far off and a value nearly right", (mdp, policy, claim, tolerance))


def _room_of_its_own(rng: np.random.Generator) -> Instance:
    """Draw a model whose last state is never entered and never left, and an error there."""
    inner = _garnet(rng, 5, 3, 0.9, 0.5)
    transition = np.zeros((6, 3, 6))
    transition[:5, :, :5] = inner.transition
    transition[5, :, 5] = 1.0
    start = mixed_start(np.append(inner.initial, 0.0), 0.1)
    mdp = MDP(transition, rng.normal(size=(6, 3)), 0.9, start, 0.5)
    policy = random_policy(rng, 6, 3)
    claim = _true_gap(mdp, policy) + np.append(np.zeros(5), 0.1)
    return Instance("an error in a state that is never left", (mdp, policy, claim, 0.8 * 0.1 / (1 - mdp.discount)))


def _symmetric(rng: np.random.Generator, tight: float) -> Instance:
    """Draw a model in which no action matters for the way and the way back is as likely."""
    half = random_mdp(rng, 6, 1, 0.9).transition[:, 0]
    moves = np.diag(1 - (half + half.T).sum(axis=1) / 4) + (half + half.T) / 4
    mdp = MDP(np.repeat(moves[:, None], 3, axis=1), rng.normal(size=(6, 3)), 0.9, np.full(6, 1 / 6))
    policy = random_policy(rng, 6, 3)
    return Instance("the right gaps, a symmetric kernel", (mdp, policy, _true_gap(mdp, policy), tight))


# Bits tell what a certificate decides, not why; so the sentences say what was observed.
ADDED_UP = "Your certificate accepts a tolerance just above the error of a single state; errors add up along the way."
UNPROVED = "Your certificate accepts a claim that the residual does not prove (does it use V* or a smaller constant?)."
UNREACHED = "Your certificate refuses a claim that the residual proves (does it compare gaps, or use another norm?)."

gap_is_proved = Task(
    _proved,
    _draw_claims,
    (
        Mistake(
            "Your certificate accepts every claim that was tried (is there one that it refuses?).",
            lambda mdp, policy, gap, tolerance: True,
        ),
        Mistake(
            "Your certificate refuses every claim that was tried, the right ones too.",
            lambda mdp, policy, gap, tolerance: False,
        ),
        Mistake(
            "Your certificate accepts whatever is claimed, as long as it is not negative.",
            _sandwiched,
        ),
        Mistake(
            "Your certificate accepts whatever is claimed, as long as it is not negative.",
            lambda mdp, policy, gap, tolerance: gap.min() >= -1e-9,
        ),
        Mistake(
            "Your certificate accepts errors in two states that cancel from ρ.",
            lambda mdp, policy, gap, tolerance: (
                abs(mdp.initial @ (_claimed_value(mdp, policy, gap) - solve(mdp).value)) <= tolerance
            ),
        ),
        Mistake(
            "Your certificate accepts errors in two states that cancel from ρ.",
            lambda mdp, policy, gap, tolerance: (
                abs(evaluate(mdp, policy).occupancy @ (gap - _true_gap(mdp, policy))) <= (1 - mdp.discount) * tolerance
            ),
        ),
        Mistake(
            ADDED_UP,
            lambda mdp, policy, gap, tolerance: np.abs(_residual(mdp, policy, gap)).max() <= tolerance,
        ),
        Mistake(
            ADDED_UP,
            lambda mdp, policy, gap, tolerance: np.abs(gap - _true_gap(mdp, policy)).max() <= tolerance,
        ),
        Mistake(
            "Your certificate accepts gaps that are too large in every state.",
            lambda mdp, policy, gap, tolerance: _residual(mdp, policy, gap).max() <= (1 - mdp.discount) * tolerance,
        ),
        Mistake(
            "Your certificate accepts gaps that are too small in every state.",
            lambda mdp, policy, gap, tolerance: (-_residual(mdp, policy, gap)).max() <= (1 - mdp.discount) * tolerance,
        ),
        Mistake(
            "Your certificate accepts an error in one state only.",
            lambda mdp, policy, gap, tolerance: (
                np.abs(_residual(mdp, policy, gap)).mean() <= (1 - mdp.discount) * tolerance
            ),
        ),
        Mistake(
            "Your certificate refuses the right gaps of a policy that errs again and again along its way.",
            lambda mdp, policy, gap, tolerance: (
                _residual_of(mdp, evaluate(mdp, policy).value + gap) <= (1 - mdp.discount) * tolerance
            ),
        ),
        Mistake(
            "Your certificate refuses the right gaps (do they flow backwards along the kernel?).",
            lambda mdp, policy, gap, tolerance: (
                _residual_of(mdp, _flown_back(mdp, policy, gap)) <= (1 - mdp.discount) * tolerance
            ),
        ),
        Mistake(
            "Your certificate refuses the right gaps as soon as the temperature is positive.",
            lambda mdp, policy, gap, tolerance: (
                _residual_of(mdp, _claimed_value(mdp, policy, gap), 0.0) <= (1 - mdp.discount) * tolerance
            ),
        ),
        Mistake(
            "Your certificate refuses gaps that are below 0 by rounding only.",
            lambda mdp, policy, gap, tolerance: gap.min() >= 0 and _proved(mdp, policy, gap, tolerance),
        ),
        Mistake(
            UNPROVED,
            lambda mdp, policy, gap, tolerance: (
                np.abs(_claimed_value(mdp, policy, gap) - solve(mdp).value).max() <= tolerance
            ),
        ),
        Mistake(
            UNPROVED,
            lambda mdp, policy, gap, tolerance: (
                mdp.discount * np.abs(_residual(mdp, policy, gap)).max() <= (1 - mdp.discount) * tolerance
            ),
        ),
        Mistake(
            UNREACHED,
            lambda mdp, policy, gap, tolerance: (
                np.abs(gap - _true_gap(mdp, policy)).max() <= (1 - mdp.discount) * tolerance
            ),
        ),
        Mistake(
            UNREACHED,
            lambda mdp, policy, gap, tolerance: (
                np.linalg.norm(_residual(mdp, policy, gap)) <= (1 - mdp.discount) * tolerance
            ),
        ),
    ),
)


def _flown_back(mdp: MDP, policy: Array, gap: Array) -> Array:
    at = evaluate(mdp, policy)
    return at.value + at.solve(gap, transposed=True)


# Task 4: the bias to first order, with the squared norm. Arguments: P, r_f, r_l, γ, ρ, τ.


def _limits(P: Array, r: Array, upper: Array, g: float, rho: Array, t: float) -> Array:
    """Return both limits without the formula.

    Value penalty: φ_λ = λ[V*_r − V*_{r + r_l/λ}], so the limit is half the second derivative of ε ↦ V*_{r + ε r_l}(ρ),
    that is half the derivative of V_l under π*: minus half a hypergradient. Bellman penalty: the minimum of the
    quadratic model of F_λ at π*, from its optimality conditions; an action that π* leaves out costs at first order.
    """
    world = MDP(P, r, g, rho, t, SquaredNorm())
    shaping = reward_shaping.problem(world, upper[:, :, None], true_reward=upper)
    found = hypergradient(shaping, np.zeros(1))
    slope, played = found.objective.policy_gradient, found.best.policy > 0
    bellman = sum(_drop(slope[state, played[state]], t * rho[state]) for state in range(len(rho)))
    return np.array([-0.5 * found.gradient[0], bellman])


def _drop(slope: Array, curvature: float) -> float:
    """Return max over Σδ = 0 of −⟨slope, δ⟩ − ½ curvature ‖δ‖², from the system of its conditions."""
    n = len(slope)
    system = np.zeros((n + 1, n + 1))
    system[:n, :n] = curvature * np.eye(n)
    system[n, :n] = system[:n, n] = 1.0
    step = np.linalg.solve(system, np.append(-slope, 0.0))[:n]
    return float(-slope @ step - 0.5 * curvature * (step @ step))


def _limits_with(
    P: Array,
    r: Array,
    upper: Array,
    g: float,
    rho: Array,
    t: float,
    *,
    table: str = "values",
    spread: str = "right",
    weights: str = "right",
    factor: float = 1.0,
    per_step: bool = False,
    regularizer: Regularizer | None = None,
) -> Array:
    """Follow the taught way with one thing changed."""
    norm = regularizer or SquaredNorm()
    best = solve(MDP(P, r, g, rho, t, norm))
    optimal, d = best.policy, _occupancy(P, rho, g, best.policy)
    if per_step:
        d = (1 - g) * d
    own = evaluate(MDP(P, upper, g, rho, t, norm), optimal)
    side = own.side_value(upper)
    tables = {
        "values": upper + g * P @ side,
        "charged": own.action_value,
        "reward": upper,
        "follower": best.action_value,
        "leader": solve(MDP(P, upper, g, rho)).action_value,
        "undiscounted": upper + P @ side,
    }
    value, bellman = {
        "right": (d, d * d / rho),
        "swapped": (d * d / rho, d),
        "visits": (d, d),
        "own": (d, rho),
        "start": (rho, rho),
        "ratio": (d, d / rho),
    }[weights]
    spreads = _spread(optimal, tables[table], spread)
    return factor / (2 * t) * np.array([value @ spreads, bellman @ spreads])


def _spread(policy: Array, Q: Array, kind: str) -> Array:
    played = (policy > 0).astype(float)
    share = played / played.sum(axis=1, keepdims=True)
    mean = (share * Q).sum(axis=1, keepdims=True)
    expected = (policy * Q).sum(axis=1, keepdims=True)
    right = (played * (Q - mean) ** 2).sum(axis=1)
    result: Array = {
        "right": right,
        "variance": (policy * (Q - expected) ** 2).sum(axis=1),
        "every": ((Q - Q.mean(axis=1, keepdims=True)) ** 2).sum(axis=1),
        "expected": (played * (Q - expected) ** 2).sum(axis=1),
        "averaged": right / played.sum(axis=1),
        "uncentred": (played * Q**2).sum(axis=1),
        "length": np.sqrt(right),
    }[kind]
    return result


def _draw_limits(rng: np.random.Generator) -> Iterator[Instance]:
    for n_states, n_actions, discount, temperature in ((5, 3, 0.9, 2.0), (6, 4, 0.7, 0.8), (5, 4, 0.95, 4.0)):
        mdp = _sparse(rng, n_states, n_actions, discount, temperature)
        upper = rng.normal(size=(n_states, n_actions))
        label = f"{n_actions} actions, γ = {discount} and τ = {temperature}"
        yield Instance(label, (mdp.transition, mdp.reward, upper, discount, mdp.initial, temperature))
    start = mixed_start(np.eye(5)[rng.integers(5)], 0.1)
    yield Instance("a start that hardly ever looks elsewhere", (mdp.transition, mdp.reward, upper, 0.95, start, 4.0))
    shifted = 2.0 + upper
    yield Instance("a leader who is always paid", (mdp.transition, mdp.reward, shifted, 0.95, mdp.initial, 4.0))


def _sparse(rng: np.random.Generator, n_states: int, n_actions: int, discount: float, temperature: float) -> MDP:
    """Draw a model whose π* leaves some actions out, none of them by a hair: a change of support would be a kink."""
    while True:
        mdp = _garnet(rng, n_states, n_actions, discount, temperature, SquaredNorm())
        best = solve(mdp)
        level = (best.action_value - temperature * best.policy).max(axis=1, keepdims=True)
        played = best.policy > 0
        sizes = played.sum(axis=1)
        clear = best.policy[played].min() > 0.02 and (level - best.action_value)[~played].min(initial=1.0) > 0.02
        if clear and ((sizes > 1) & (sizes < n_actions)).sum() >= 2 and (sizes == n_actions).any():
            return mdp


ENTROPY = "Your numbers are those of the entropy (which quadratic is the gap of the squared norm?)."

bias_limits = Task(
    _limits,
    _draw_limits,
    (
        Mistake(ENTROPY, lambda *given: _limits_with(*given, spread="variance")),
        Mistake(ENTROPY, lambda *given: _limits_with(*given, spread="variance", regularizer=Entropy())),
        Mistake(
            "Your follower plays every action, as one with the entropy would.",
            lambda *given: _limits_with(*given, regularizer=Entropy()),
        ),
        Mistake(
            "Your spread counts actions that the follower does not play (does it pay to begin, for large λ?).",
            lambda *given: _limits_with(*given, spread="every"),
        ),
        Mistake(
            "Your spread is taken about the follower's average, but the best δ is another.",
            lambda *given: _limits_with(*given, spread="expected"),
        ),
        Mistake(
            "Your spread is an average over the actions; what the minimisation leaves is not.",
            lambda *given: _limits_with(*given, spread="averaged"),
        ),
        Mistake(
            "Your spread changes when the leader is paid 1 more in every step, which changes no policy.",
            lambda *given: _limits_with(*given, spread="uncentred"),
        ),
        Mistake(
            "Your spread has the unit of a value, so that your numbers are not the square of one over τ.",
            lambda *given: _limits_with(*given, spread="length"),
        ),
        Mistake(
            "Your two numbers are exchanged: the value penalty's comes first.",
            lambda *given: _limits_with(*given, weights="swapped"),
        ),
        Mistake(
            "Your two numbers are the same, so one penalty's weights were used for both.",
            lambda *given: _limits_with(*given, weights="visits"),
        ),
        Mistake(
            "Your two numbers are the same, so one penalty's weights were used for both.",
            lambda *given: _limits_with(*given, weights="start"),
        ),
        Mistake(
            "Your second number is small where ρ is small, although there the Bellman penalty holds back least.",
            lambda *given: _limits_with(*given, weights="own"),
        ),
        Mistake(
            "Your second number counts the visits once (where else in the minimisation do they come in?).",
            lambda *given: _limits_with(*given, weights="ratio"),
        ),
        Mistake(
            "Your numbers are twice too large: look at the value of a quadratic at its minimum.",
            lambda *given: _limits_with(*given, factor=2.0),
        ),
        Mistake(
            "Your numbers do not know the temperature.",
            lambda *given: _limits_with(*given, factor=given[5]),
        ),
        Mistake(
            "Your numbers grow with the temperature, although a larger τ holds the policy back more.",
            lambda *given: _limits_with(*given, factor=given[5] ** 2),
        ),
        Mistake(
            "Your numbers have the wrong sign: φ_λ is never above φ.",
            lambda *given: _limits_with(*given, factor=-1.0),
        ),
        Mistake(
            "Your leader looks at today's reward only.",
            lambda *given: _limits_with(*given, table="reward"),
        ),
        Mistake(
            "Your leader is charged for the follower's randomness; the leader's return has no regulariser.",
            lambda *given: _limits_with(*given, table="charged"),
        ),
        Mistake(
            "Your spread is that of the follower's action values; it is the leader who would like another action.",
            lambda *given: _limits_with(*given, table="follower"),
        ),
        Mistake(
            "Your leader's values are those of the policy that is best for the leader, not of the follower's.",
            lambda *given: _limits_with(*given, table="leader"),
        ),
        Mistake(
            "Your leader counts tomorrow's value in full.",
            lambda *given: _limits_with(*given, table="undiscounted"),
        ),
        Mistake(
            "Your visits sum to 1, so they give an average per step and not the discounted sum.",
            lambda *given: _limits_with(*given, per_step=True),
        ),
    ),
)
