"""Problem set 05: a reward with two given penalties, exploration, a certificate of gaps, the bias to first order.

Each `Task` is called with the student's function, and with a seed for other instances. Most mistakes are the taught way
with one thing changed; the function that follows it takes that as an option.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

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
from . import Function, Instance, Mistake, Task
from .shared import Changes, told


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


def _visits(P: Array, start: Array, g: float, y: Array, way: str = "right") -> Array:
    """Return the occupancy of y, or what is taken for it: of an average step, or from a flow along the wrong index."""
    system = np.eye(len(start)) - g * np.einsum("sa,sat->st", y, P)
    solved: Array = np.linalg.solve(system if way == "backwards" else system.T, start)
    return (1 - g) * solved if way == "per step" else solved


# Task 1: a reward with two given penalties. Arguments: P, ρ, γ, y, V*, entries, share of p_B, share of p_V.

Entries = tuple[tuple[int, int], tuple[int, int]]


def _designed(P: Array, rho: Array, g: float, y: Array, V: Array, entries: Entries, b: float, v: float) -> Array:
    """Measure both penalties of a loss of 1 in each entry; penalties are linear in the losses."""
    reward: Array = V[:, None] - g * P @ V
    measured = []
    for entry in entries:
        lowered = reward.copy()
        lowered[entry] -= 1.0
        mdp = MDP(P, lowered, g, rho)
        measured.append((bellman_penalty(mdp, y).value, value_penalty(mdp, y).value))
    losses = np.linalg.solve(np.transpose(measured), [b * (rho @ V), v * (rho @ V)])
    for entry, loss in zip(entries, losses, strict=True):
        reward[entry] -= loss
    return reward


def _designed_with(
    *given: Any,
    ahead: float | None = None,
    way: str = "right",
    optimum: str = "right",
    played: bool = True,
    alone: bool = False,
    rows: bool = False,
    targets: Function = np.array,
    losses: Function = np.array,
) -> Array:
    """Follow the taught way with one thing changed; `targets` and `losses` say what is made of the right ones."""
    P, rho, g, y, V, entries, b, v = given
    states = [state for state, _ in entries]
    table = np.array([rho[states], _visits(P, rho, g, y, way)[states]])
    if played:
        table *= [y[entry] for entry in entries]
    sizes = {"right": rho @ V, "mean": V.mean(), "one": 1.0}
    wanted = targets(np.array([b, v]) * sizes[optimum])
    found = losses(wanted / np.diag(table) if alone else np.linalg.solve(table, wanted))
    reward: Array = V[:, None] - (g if ahead is None else ahead) * P @ V
    for (state, action), loss in zip(entries, found, strict=True):
        reward[state, slice(None) if rows else action] -= loss
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
    seldom = MDP(mdp.transition, mdp.reward, 0.6, start)
    yield _asked(rng, "a start that hardly ever looks elsewhere", seldom, policy, value)


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


DESIGNED: Changes = {
    "With your reward tomorrow's value counts in full, so V* is another one.": {"ahead": 1.0},
    "Your reward pays V* itself in every step, so V* becomes many times larger.": {"ahead": 0.0},
    "Your losses are chosen as if y always played the entry's action.": {"played": False},
    "Your penalties are the shares themselves, whatever the optimal return is.": {"optimum": "one"},
    "Your shares are of the average of V* over all states, not of the optimal return.": {"optimum": "mean"},
    "Your value penalty is an average per step: the visits of your occupancy sum to 1.": {"way": "per step"},
    "Your occupancy flows backwards: look at which index of P_π is the state one comes from.": {"way": "backwards"},
    "Your two shares are exchanged: the Bellman penalty has the one that the value penalty should have.": {
        "targets": np.flip
    },
    "Your two losses are exchanged: each stands at the other's entry.": {"losses": np.flip},
    "Each of your losses makes up one of the penalties, but each adds to both.": {"alone": True},
    "Your two entries are raised and not lowered, so that their actions become the best of all.": {
        "losses": np.negative
    },
    "Your reward lowers every action of the two states, so that V* sinks and nothing is lost by choosing.": {
        "rows": True,
        "played": False,
    },
    "Your reward has the right V*, but no action loses anything: both penalties are 0.": {"losses": np.zeros_like},
}

designed_reward = Task(_designed, _draw_designed, told(_designed_with, DESIGNED))


# Task 2: how much exploration. Arguments: P, ρ_env, γ, y, κ.


def _least(P: Array, start: Array, g: float, y: Array, bound: float) -> float:
    """Minimise ε by a linear program: d_ε ≤ κρ_ε is linear in ε, and so is d_ε = (I − γP_y)⁻ᵀρ_ε, a variable too."""
    n = len(start)
    flow = np.eye(n) - g * policy_transition(MDP(P, np.zeros_like(y), g, start), y).T
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


def _sides(P: Array, start: Array, g: float, y: Array, bound: float) -> tuple[Array, Array]:
    """Return d − κρ in every state for no exploration and for nothing else."""
    even = np.full(len(start), 1 / len(start))
    return _visits(P, start, g, y) - bound * start, _visits(P, even, g, y) - bound * even


def _crossing_with(
    *given: Any,
    way: str = "right",
    first: str = "start",
    second: str = "even",
    uniform: float | None = None,
    added: bool = False,
    states: str = "all",
) -> float:
    """Follow the taught way with one thing changed: the largest ε at which a line from above 0 comes down to it."""
    P, start, g, y, bound = given
    even = np.full(len(start), 1 / len(start) if uniform is None else uniform)
    starts = {"start": start, "even": even}
    none = _visits(P, starts[first], g, y, way) - bound * start
    full = _visits(P, starts[second], g, y, way) - bound * even
    keep = none > 1e-12
    if states == "crossing":  # also the lines that come from below
        with np.errstate(divide="ignore", invalid="ignore"):
            keep = np.isfinite(none / (none - full)) & (none * full <= 0)
    elif states == "started in":
        keep = keep & (start > 0)
    elif states == "worst":
        keep = keep & (none == none.max())
    return float(np.max(none[keep] / ((0.0 if added else none[keep]) - full[keep]), initial=0.0))


def _bisected(P: Array, start: Array, g: float, y: Array, bound: float, *, average: bool = False) -> float:
    """Search as if the guarantee could not be lost again; or ask the mean of d/ρ, and not the largest, to be ≤ κ."""
    none, full = _sides(P, start, g, y, bound)
    even = 1 / len(start)

    def enough(epsilon: float) -> bool:
        excess = (1 - epsilon) * none + epsilon * full
        if average:
            return bool((excess / ((1 - epsilon) * start + epsilon * even)).mean() <= 0)
        return bool(excess.max() <= 1e-12)

    low, high = (1e-9 if average else 0.0), 1.0
    if enough(low):
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


NEAR_ZERO = 1e5  # where 0 is right: 1e-7 of it, since a tolerance is relative to 1e-12 at least


def _draw_exploration(rng: np.random.Generator) -> Iterator[Instance]:
    for n_states, n_actions, discount in ((6, 3, 0.9), (8, 2, 0.7)):
        mdp = _garnet(rng, n_states, n_actions, discount)
        start, policy = np.eye(n_states)[rng.integers(n_states)], random_policy(rng, n_states, n_actions)
        world = (mdp.transition, start, discount, policy)
        yield Instance(f"a single start state and γ = {discount}", (*world, _asked_ratio(rng, *world, 0.3, 0.8)))
    yield Instance("two start states", _another_state_decides(rng))
    plain = (mdp.transition, mdp.initial, 0.7, random_policy(rng, 8, 2))
    enough = 20 * float(_ratios(*plain, np.zeros(1))[0])
    yield Instance("a start that is good enough as it is", (*plain, enough), NEAR_ZERO)
    yield Instance("a policy that always comes back to the start", _lost_again(rng))
    yield _room_never_entered(rng)


def _ratios(P: Array, start: Array, g: float, y: Array, epsilons: Array) -> Array:
    """Return the largest d/ρ for each ε; it is 0/0 where nobody ever is."""
    share, even = epsilons[:, None], np.full(len(start), 1 / len(start))
    visits = (1 - share) * _visits(P, start, g, y) + share * _visits(P, even, g, y)
    mixed = (1 - share) * start + share * even
    result: Array = np.divide(visits, mixed, out=np.zeros_like(visits), where=visits > 1e-12).max(axis=1)
    return result


def _asked_ratio(
    rng: np.random.Generator, P: Array, start: Array, g: float, y: Array, least: float, most: float
) -> float:
    """Return the ratio at some share of the ε with the least ratio; up to there exploring more helps."""
    grid = np.linspace(0.02, 1.0, 99)
    best = grid[_ratios(P, start, g, y, grid).argmin()]
    return float(_ratios(P, start, g, y, np.array([best * rng.uniform(least, most)]))[0])


def _another_state_decides(rng: np.random.Generator) -> tuple[Any, ...]:
    """Draw a model in which the state that is furthest off without exploration is not the one that needs most."""
    while True:
        mdp, policy, start = _garnet(rng, 8, 2, 0.7), random_policy(rng, 8, 2), np.zeros(8)
        start[rng.choice(8, size=2, replace=False)] = [0.7, 0.3]
        world = (mdp.transition, start, 0.7, policy)
        bound = _asked_ratio(rng, *world, 0.3, 0.8)
        if _crossing_with(*world, bound, states="worst") < 0.9 * _crossing_with(*world, bound):
            return (*world, bound)


def _lost_again(rng: np.random.Generator) -> tuple[Any, ...]:
    """Draw a model that flows into the start state, so that the guarantee is lost again before ε = ½."""
    while True:
        mdp, policy = _garnet(rng, 6, 3, 0.9), random_policy(rng, 6, 3)
        home = rng.integers(6)
        transition = 0.3 * mdp.transition
        transition[:, :, home] += 0.7
        world = (transition, np.eye(6)[home], 0.9, policy)
        bound = _asked_ratio(rng, *world, 0.75, 0.95)
        none, full = _sides(*world, bound)
        rises = (none < 0) & (full > 0)
        if rises.any() and (none[rises] / (none[rises] - full[rises])).min() < 0.45:
            return (*world, bound)


def _room_never_entered(rng: np.random.Generator) -> Instance:
    """Draw a model with two states that are neither started in nor entered, where d = ρ = 0."""
    inner = _garnet(rng, 4, 3, 0.9)
    transition = np.zeros((6, 3, 6))
    transition[:4, :, :4] = inner.transition
    transition[4:] = rng.dirichlet(np.ones(6), size=(2, 3))
    world = (transition, np.append(inner.initial, [0.0, 0.0]), 0.9, random_policy(rng, 6, 3))
    enough = 1.1 * float(_ratios(*world, np.zeros(1))[0])
    return Instance("states that are never reached", (*world, enough), NEAR_ZERO)


CROSSINGS: Changes = {
    "Your occupancy is that of ρ_env, whatever ε is; y starts elsewhere once ρ is mixed.": {"second": "start"},
    "Your occupancy is that of the uniform start, whatever ε is.": {"first": "even"},
    "Your ratio compares ρ with an average per step: the visits of your occupancy sum to 1.": {"way": "per step"},
    "Your occupancy flows backwards: look at which index of P_π is the state one comes from.": {"way": "backwards"},
    "Your ρ does not sum to 1: the uniform distribution has 1/S in every state.": {"uniform": 1.0},
    "Your ρ does not sum to 1: what goes to the uniform distribution has to be taken from ρ_env.": {"added": True},
    "With your ε there are states, outside of ρ_env, in which the guarantee fails.": {"states": "started in"},
    "Your ε is enough for the state that is worst without exploration, but another one needs more.": {
        "states": "worst"
    },
    "Your ε is larger than necessary: in some states exploring more makes the ratio worse, not better.": {
        "states": "crossing"
    },
}

exploration_needed = Task(
    _least,
    _draw_exploration,
    (
        *told(_crossing_with, CROSSINGS),
        Mistake(
            "Your ε would be enough for every policy, but for this one a smaller ε is.",
            lambda P, start, g, y, bound: min(len(start) / (bound * (1 - g)), 1.0),
        ),
        Mistake(
            "Your number is the weight of ρ_env, not that of the uniform distribution.",
            lambda *given: 1 - _least(*given),
        ),
        Mistake(
            "Your search misses ε that are enough, as if the guarantee could not be lost again by exploring more.",
            _bisected,
        ),
        Mistake(
            "Your ε satisfies a condition on the average over the states, but the guarantee has to hold in each.",
            partial(_bisected, average=True),
        ),
    ),
)


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


def _provable(mdp: MDP, policy: Array, gap: Array) -> float:
    """Return the least tolerance that the residual proves."""
    return float(np.abs(_residual(mdp, policy, gap)).max()) / (1 - mdp.discount)


def _proved(mdp: MDP, policy: Array, gap: Array, tolerance: float) -> bool:
    return _provable(mdp, policy, gap) <= tolerance


def _true_gap(mdp: MDP, policy: Array) -> Array:
    return bellman_penalty(mdp, policy).gap


def _error(mdp: MDP, policy: Array, gap: Array, of: str) -> Array:
    """Return what a certificate looks at, in every state."""
    at = evaluate(mdp, policy)
    if of == "residual":
        return _residual(mdp, policy, gap)
    if of == "gaps":
        return gap - _true_gap(mdp, policy)
    if of == "gaps by V^y":
        return gap - _gap_at(mdp, policy, at.value)
    if of == "values":
        return _claimed_value(mdp, policy, gap) - solve(mdp).value
    if of == "residual at τ = 0":
        model = MDP(mdp.transition, mdp.reward, mdp.discount, mdp.initial, 0.0, mdp.regularizer)
        value = _claimed_value(mdp, policy, gap)
    else:
        model = mdp
        value = at.value + (gap if of == "residual of one visit" else at.solve(gap, transposed=True))
    return optimality_operator(model, value) - value


SIZES: dict[str, Function] = {
    "largest": lambda mdp, policy, error: np.abs(error).max(),
    "above": lambda mdp, policy, error: error.max(),
    "below": lambda mdp, policy, error: -error.min(),
    "mean": lambda mdp, policy, error: np.abs(error).mean(),
    "two-norm": lambda mdp, policy, error: np.linalg.norm(error),
    "from ρ": lambda mdp, policy, error: abs(mdp.initial @ error),
    "along y": lambda mdp, policy, error: abs(evaluate(mdp, policy).occupancy @ error),
}


def _proved_with(
    *given: Any,
    of: str = "residual",
    size: str = "largest",
    factor: str = "1 − γ",
    relative: float = 0.0,
    clipped: bool = False,
    positive: bool = False,
) -> bool:
    """Follow the taught way with one thing changed."""
    mdp, policy, gap, tolerance = given
    if positive and gap.min() < 0:
        return False
    claim = np.maximum(gap, 0.0) if clipped else gap
    g = mdp.discount
    allowed = tolerance * {"1": 1.0, "1 − γ": 1 - g, "(1 − γ)/γ": (1 - g) / g}[factor]
    if relative:
        allowed += relative * np.abs(_claimed_value(mdp, policy, claim)).min()
    return bool(SIZES[size](mdp, policy, _error(mdp, policy, claim, of)) <= allowed)


def _sandwiched(mdp: MDP, policy: Array, gap: Array, tolerance: float) -> bool:
    """The colleague's test: p_B ≤ p_V ≤ ‖d/ρ‖ p_B with both penalties from the gaps that are claimed."""
    visits = evaluate(mdp, policy).occupancy
    bellman, value = mdp.initial @ gap, visits @ gap
    largest = (visits / mdp.initial).max()
    return bool(bellman - 1e-9 <= value <= largest * bellman + 1e-9)


TIGHT = 1e-6


def _draw_claims(rng: np.random.Generator) -> Iterator[Instance]:
    regularizers: tuple[tuple[str, float, Regularizer], ...] = (
        ("τ = 0", 0.0, Entropy()),
        ("the entropy", 0.5, Entropy()),
        ("the squared norm", 2.0, SquaredNorm()),
    )
    for name, temperature, regularizer in regularizers:
        mdp = _garnet(rng, 6, 3, 0.9, temperature, regularizer)
        policy = random_policy(rng, 6, 3)
        gap = _true_gap(mdp, policy)
        yield Instance(f"the right gaps, {name}", (mdp, policy, gap, TIGHT))
        yield Instance(f"gaps of 0 for a random policy, {name}", (mdp, policy, np.zeros(6), TIGHT))
        yield Instance(f"gaps at random, {name}", (mdp, policy, 3 * rng.random(6), TIGHT))
        yield Instance(f"the right gaps with the wrong sign, {name}", (mdp, policy, -gap, TIGHT))
        claim = gap + 0.05 * rng.normal(size=6)
        label, provable = f"gaps with errors and a tolerance just too tight, {name}", _provable(mdp, policy, claim)
        yield Instance(label, (mdp, policy, claim, 0.97 * provable))
        yield Instance(label.replace("too tight", "wide enough"), (mdp, policy, claim, 1.03 * provable))
    yield from _special_errors(rng)
    yield _unlike_errors(rng)
    yield _room_of_its_own(rng)
    yield from _no_way_to_choose(rng)
    yield from _optimal_policy(rng)


def _special_errors(rng: np.random.Generator) -> Iterator[Instance]:
    mdp = _garnet(rng, 6, 3, 0.9, 0.5)
    policy = random_policy(rng, 6, 3)
    gap = _true_gap(mdp, policy)
    visits = evaluate(mdp, policy).occupancy
    first, second = rng.choice(6, size=2, replace=False)
    shift = np.zeros(6)
    shift[first], shift[second] = 0.2 * visits[second], -0.2 * visits[first]
    yield Instance("errors in two states that cancel from ρ", (mdp, policy, gap + shift / visits.max(), TIGHT))
    for label, size in (("too large", 0.1), ("too small", -0.1)):
        claim = gap + size * rng.uniform(0.9, 1.0, size=6)
        least = float(np.abs(_residual(mdp, policy, claim)).min()) / (1 - mdp.discount)
        yield Instance(f"gaps {label} in every state", (mdp, policy, claim, 0.8 * least))
    single = gap + 0.1 * np.eye(6)[first]
    provable = _provable(mdp, policy, single)
    yield Instance("an error in one state only", (mdp, policy, single, 0.8 * provable))
    just_above = 1.05 * provable * (1 - mdp.discount)
    yield Instance("a tolerance just above the error of one state", (mdp, policy, single, just_above))
    actual = float(np.abs(_error(mdp, policy, single, "values")).max())
    yield Instance("a tolerance between the error and what is proved", (mdp, policy, single, (actual + provable) / 2))
    rich = MDP(mdp.transition, mdp.reward + 5, mdp.discount, mdp.initial, 0.5)  # values near 50, the same gaps
    small = 2 * TIGHT * rng.choice([-1.0, 1.0], size=6)
    yield Instance("errors that are small beside the values only", (rich, policy, gap + small, TIGHT))


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
        provable = _provable(mdp, policy, claim)
        if np.abs(claim - right).max() > 1.3 * provable * (1 - mdp.discount):
            return Instance("gaps far off and a value nearly right", (mdp, policy, claim, 1.03 * provable))


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


def _no_way_to_choose(rng: np.random.Generator) -> Iterator[Instance]:
    """Draw models in which no action matters for the way; in the first the way back is as likely."""
    half, other = (random_mdp(rng, 6, 1, 0.9).transition[:, 0] for _ in range(2))
    symmetric = np.diag(1 - (half + half.T).sum(axis=1) / 4) + (half + half.T) / 4
    ways = (("no choice of the way, a symmetric kernel", symmetric), ("no choice of the way", other))
    for label, moves in ways:
        mdp = MDP(np.repeat(moves[:, None], 3, axis=1), rng.normal(size=(6, 3)), 0.9, np.full(6, 1 / 6))
        policy = random_policy(rng, 6, 3)
        yield Instance(f"the right gaps, {label}", (mdp, policy, _true_gap(mdp, policy), TIGHT))


def _optimal_policy(rng: np.random.Generator) -> Iterator[Instance]:
    mdp = _garnet(rng, 6, 3, 0.9)
    best = solve(mdp).policy
    rounding = 1e-12 * rng.choice([-1.0, 1.0], size=6)
    rounding[:2] = -1e-12, 1e-12
    yield Instance("an optimal policy, and gaps of ±1e-12 by rounding", (mdp, best, rounding, TIGHT))
    yield Instance("an optimal policy, and a gap of −0.1", (mdp, best, -0.1 * np.eye(6)[rng.integers(6)], TIGHT))


# Bits tell what a certificate decides, not why; so the sentences say what was observed.
NOT_NEGATIVE = "Your certificate accepts whatever is claimed, as long as it is not negative."
CANCELLED = "Your certificate accepts errors in two states that cancel from ρ."
ADDED_UP = "Your certificate accepts a tolerance just above the error of a single state; errors add up along the way."
UNPROVED = "Your certificate accepts a claim that the residual does not prove (does it use V* or a smaller constant?)."
UNREACHED = "Your certificate refuses a claim that the residual proves (does it compare gaps, or use another norm?)."

PROVED: Changes = {
    "Your certificate accepts gaps that are too large in every state.": {"size": "above"},
    "Your certificate accepts gaps that are too small in every state.": {"size": "below"},
    "Your certificate accepts an error in one state only.": {"size": "mean"},
    "Your certificate refuses the right gaps of a policy that errs again and again along its way.": {
        "of": "residual of one visit"
    },
    "Your certificate refuses the right gaps (do they flow backwards along the kernel?).": {"of": "residual backwards"},
    "Your certificate refuses the right gaps, unless no action matters for the way.": {"of": "gaps by V^y"},
    "Your certificate refuses the right gaps as soon as the temperature is positive.": {"of": "residual at τ = 0"},
    "Your certificate refuses gaps that are below 0 by rounding only.": {"positive": True},
    "Your certificate accepts a gap of −0.1 where the right one is 0.": {"clipped": True},
    "Your certificate accepts errors that are small beside the values, but not beside the tolerance.": {
        "relative": 1e-5
    },
}

gap_is_proved = Task(
    _proved,
    _draw_claims,
    (
        Mistake(
            "Your certificate accepts every claim that was tried (is there one that it refuses?).", lambda *_: True
        ),
        Mistake("Your certificate refuses every claim that was tried, the right ones too.", lambda *_: False),
        Mistake(NOT_NEGATIVE, _sandwiched),
        Mistake(NOT_NEGATIVE, lambda mdp, policy, gap, tolerance: gap.min() >= -1e-9),
        Mistake(CANCELLED, partial(_proved_with, of="values", size="from ρ", factor="1")),
        Mistake(CANCELLED, partial(_proved_with, of="gaps", size="along y")),
        Mistake(ADDED_UP, partial(_proved_with, factor="1")),
        Mistake(ADDED_UP, partial(_proved_with, of="gaps", factor="1")),
        *told(_proved_with, PROVED),
        Mistake(UNPROVED, partial(_proved_with, of="values", factor="1")),
        Mistake(UNPROVED, partial(_proved_with, factor="(1 − γ)/γ")),
        Mistake(UNREACHED, partial(_proved_with, of="gaps")),
        Mistake(UNREACHED, partial(_proved_with, size="two-norm")),
    ),
)


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
    *given: Any,
    table: str = "values",
    spread: str = "right",
    weights: str = "right",
    factor: float = 1.0,
    power: int = 0,
    way: str = "right",
    regularizer: Regularizer | None = None,
) -> Array:
    """Follow the taught way with one thing changed; the result is multiplied by factor · τ^power."""
    P, r, upper, g, rho, t = given
    norm = regularizer or SquaredNorm()
    best = solve(MDP(P, r, g, rho, t, norm))
    d = _visits(P, rho, g, best.policy, way)
    own = evaluate(MDP(P, upper, g, rho, t, norm), best.policy)
    side = own.side_value(upper)
    tables = {
        "values": upper + g * P @ side,
        "charged": own.action_value,
        "reward": upper,
        "follower": best.action_value,
        "leader": solve(MDP(P, upper, g, rho)).action_value,
        "undiscounted": upper + P @ side,
    }
    both = {
        "right": (d, d * d / rho),
        "swapped": (d * d / rho, d),
        "visits": (d, d),
        "own": (d, rho),
        "start": (rho, rho),
        "ratio": (d, d / rho),
    }
    spreads = _spread(best.policy, tables[table], spread)
    return factor * t**power / (2 * t) * np.array([weight @ spreads for weight in both[weights]])


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
ALIKE = "Your two numbers are the same, so one penalty's weights were used for both."

LIMITS: Changes = {
    "Your follower plays every action, as one with the entropy would.": {"regularizer": Entropy()},
    "Your spread counts actions that the follower does not play (does it pay to begin, for large λ?).": {
        "spread": "every"
    },
    "Your spread is taken about the follower's average, but the best δ is another.": {"spread": "expected"},
    "Your spread is an average over the actions; what the minimisation leaves is not.": {"spread": "averaged"},
    "Your spread changes when the leader is paid 1 more in every step, which changes no policy.": {
        "spread": "uncentred"
    },
    "Your spread has the unit of a value, so that your numbers are not the square of one over τ.": {"spread": "length"},
    "Your two numbers are exchanged: the value penalty's comes first.": {"weights": "swapped"},
    "Your second number is small where ρ is small, although there the Bellman penalty holds back least.": {
        "weights": "own"
    },
    "Your second number counts the visits once (where else in the minimisation do they come in?).": {
        "weights": "ratio"
    },
    "Your numbers are twice too large: look at the value of a quadratic at its minimum.": {"factor": 2.0},
    "Your numbers have the wrong sign: φ_λ is never above φ.": {"factor": -1.0},
    "Your numbers do not know the temperature.": {"power": 1},
    "Your numbers grow with the temperature, although a larger τ holds the policy back more.": {"power": 2},
    "Your leader looks at today's reward only.": {"table": "reward"},
    "Your leader counts tomorrow's value in full.": {"table": "undiscounted"},
    "Your leader is charged for the follower's randomness; the leader's return has no regulariser.": {
        "table": "charged"
    },
    "Your spread is that of the follower's action values; it is the leader who would like another action.": {
        "table": "follower"
    },
    "Your leader's values are those of the policy that is best for the leader, not of the follower's.": {
        "table": "leader"
    },
    "Your visits sum to 1, so they give an average per step and not the discounted sum.": {"way": "per step"},
    "Your occupancy flows backwards: look at which index of P_π is the state one comes from.": {"way": "backwards"},
}

bias_limits = Task(
    _limits,
    _draw_limits,
    (
        Mistake(ENTROPY, partial(_limits_with, spread="variance")),
        Mistake(ENTROPY, partial(_limits_with, spread="variance", regularizer=Entropy())),
        Mistake(ALIKE, partial(_limits_with, weights="visits")),
        Mistake(ALIKE, partial(_limits_with, weights="start")),
        *told(_limits_with, LIMITS),
    ),
    tolerance=1e-8,  # relative to the larger number: λ(φ − φ_λ) at a large λ is no limit
)
