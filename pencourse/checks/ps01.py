"""Problem set 01: returns from one occupancy, an upper bound from any V, a certificate that can fail.

Each `Task` is called with the student's function, and with a seed for other instances.
"""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import brentq

from ..evaluation import evaluate
from ..models import MDP
from ..planning import optimality_operator, solve
from ..simplex import random_policy, uniform_policy
from ..typing import Array
from . import Instance, Mistake, Task
from .shared import garnet

# Task 1: weights that price every reward table.


def _weights(transition: Array, policy: Array, initial: Array, discount: float) -> Array:
    """Price every transition by itself: the return of the reward that pays 1 on it and 0 elsewhere.

    The reward that pays 1 on (s, a, s′) is r(s,a) = P(s′|s,a), and V^π(ρ) is linear in r.
    """
    system = np.eye(len(initial)) - discount * np.einsum("sa,sat->st", policy, transition)
    values = np.linalg.inv(system)  # column s: the value, from every state, of 1 paid whenever the state is s
    return np.einsum("s,sa,sat->sat", initial @ values, policy, transition)


def _spread(occupancy: Array, policy: Array, transition: Array) -> Array:
    result: Array = occupancy[:, None, None] * policy[:, :, None] * transition
    return result


def _backwards(transition: Array, policy: Array, initial: Array, discount: float) -> Array:
    moves = np.einsum("sa,sat->st", policy, transition)
    return _spread(np.linalg.solve(np.eye(len(initial)) - discount * moves, initial), policy, transition)


def _without_policy(transition: Array, policy: Array, initial: Array, discount: float) -> Array:
    occupancy = _weights(transition, policy, initial, discount).sum(axis=(1, 2))
    return _spread(occupancy, np.ones_like(policy), transition)


def _uniform_choice(transition: Array, policy: Array, initial: Array, discount: float) -> Array:
    occupancy = _weights(transition, policy, initial, discount).sum(axis=(1, 2))
    return _spread(occupancy, uniform_policy(*policy.shape), transition)


def _without_kernel(transition: Array, policy: Array, initial: Array, discount: float) -> Array:
    occupancy = _weights(transition, policy, initial, discount).sum(axis=(1, 2))
    return _spread(occupancy, policy, np.ones_like(transition))


def _draw_weights(rng: np.random.Generator) -> Iterator[Instance]:
    for n_states, n_actions, discount in ((4, 3, 0.9), (7, 2, 0.97)):
        mdp = garnet(rng, n_states, n_actions, discount)
        policy = random_policy(rng, n_states, n_actions)
        label = f"a model with {n_states} states, {n_actions} actions and γ = {discount}"
        yield Instance(label, (mdp.transition, policy, mdp.initial, discount))
    mdp = garnet(rng, 5, 3, 0.8)
    fixed = np.eye(3)[rng.integers(3, size=5)]
    yield Instance("a deterministic policy", (mdp.transition, fixed, mdp.initial, 0.8))
    start = np.eye(5)[rng.integers(5)]
    yield Instance("a single start state", (mdp.transition, random_policy(rng, 5, 3), start, 0.8))
    yield Instance("γ = 0", (mdp.transition, random_policy(rng, 5, 3), mdp.initial, 0.0))


return_weights = Task(
    _weights,
    _draw_weights,
    (
        Mistake("Your occupancy flows backwards: look at which index of P_π is the state one comes from.", _backwards),
        Mistake(
            "Your weights sum to 1, so they give an average per step and not the discounted sum.",
            lambda transition, policy, initial, discount: (
                (1 - discount) * _weights(transition, policy, initial, discount)
            ),
        ),
        Mistake(
            "Your weights know the first step only: what the policy collects later is missing.",
            lambda transition, policy, initial, discount: _spread(initial, policy, transition),
        ),
        Mistake(
            "Your weights discount once too often: the first reward is paid at t = 0.",
            lambda transition, policy, initial, discount: discount * _weights(transition, policy, initial, discount),
        ),
        Mistake("Your weights count every action in full, as if all were taken at once.", _without_policy),
        Mistake("Your weights treat all actions alike, whatever the policy prefers.", _uniform_choice),
        Mistake("Your weights are the same wherever an action leads.", _without_kernel),
    ),
)


# Task 2: an upper bound from any V.


def _bound(mdp: MDP, value: Array) -> float:
    """Find the shift by bisection on its definition, V + c ≥ T(V + c)."""
    reach = 2 * (float(np.abs(optimality_operator(mdp, value) - value).max()) + 1.0) / (1 - mdp.discount)

    def slack(shift: float) -> float:
        return float((value + shift - optimality_operator(mdp, value + shift)).min())

    shift = brentq(slack, -reach, reach, xtol=1e-13, rtol=1e-14)
    return float(mdp.initial @ value + shift)


def _shifted(mdp: MDP, value: Array, shift: float) -> float:
    return float(mdp.initial @ value + shift / (1 - mdp.discount))


def _change(mdp: MDP, value: Array) -> Array:
    return optimality_operator(mdp, value) - value


def _average_change(mdp: MDP, value: Array) -> float:
    policy = uniform_policy(mdp.n_states, mdp.n_actions)
    return float(((policy * (mdp.reward + mdp.discount * mdp.transition @ value)).sum(axis=1) - value).max())


def _undiscounted_change(mdp: MDP, value: Array) -> float:
    return float(((mdp.reward + mdp.transition @ value).max(axis=1) - value).max())


def _draw_bound(rng: np.random.Generator) -> Iterator[Instance]:
    for n_states, n_actions, discount in ((4, 3, 0.9), (6, 2, 0.6)):
        mdp = garnet(rng, n_states, n_actions, discount)
        yield Instance(f"a random V and γ = {discount}", (mdp, 3 * rng.normal(size=n_states)))
    mdp = garnet(rng, 5, 3, 0.8)
    yield Instance("V = 0", (mdp, np.zeros(5)))
    yield Instance("the value of a policy", (mdp, evaluate(mdp, random_policy(rng, 5, 3)).value))
    yield Instance("a V far above V*", (mdp, solve(mdp).value + 20 + rng.random(5)))
    yield Instance("a V far below V*", (mdp, solve(mdp).value - 20 - rng.random(5)))


upper_bound = Task(
    _bound,
    _draw_bound,
    (
        Mistake(
            "Your shift is too small: add it to V, apply T, and some state lies above again.",
            lambda mdp, value: float(mdp.initial @ value + _change(mdp, value).max()),
        ),
        Mistake(
            "Your shift belongs to another bound, the one that starts from TV and not from V.",
            lambda mdp, value: _shifted(mdp, value, mdp.discount * _change(mdp, value).max()),
        ),
        Mistake(
            "Yours is MacQueen's bound, which lifts TV; here V itself is to be lifted.",
            lambda mdp, value: _shifted(mdp, optimality_operator(mdp, value), mdp.discount * _change(mdp, value).max()),
        ),
        Mistake(
            "Your shift has the wrong sign: V has to rise where TV lies above it.",
            lambda mdp, value: _shifted(mdp, value, -_change(mdp, value).max()),
        ),
        Mistake(
            "Your shift grows where TV lies below V, although no state needs to be lifted for that.",
            lambda mdp, value: _shifted(mdp, value, np.abs(_change(mdp, value)).max()),
        ),
        Mistake(
            "Your shift is never negative: a V that lies far above its TV may come down.",
            lambda mdp, value: _shifted(mdp, value, max(_change(mdp, value).max(), 0.0)),
        ),
        Mistake(
            "Your shift is right on average over the start, but V + c ≥ T(V + c) is asked of every state.",
            lambda mdp, value: _shifted(mdp, value, float(mdp.initial @ _change(mdp, value))),
        ),
        Mistake(
            "Yours is a lower bound on V*(ρ): its shift makes V + c ≤ T(V + c).",
            lambda mdp, value: _shifted(mdp, value, _change(mdp, value).min()),
        ),
        Mistake(
            "Your T averages over the actions; an upper bound on V* has to stand against the best of them.",
            lambda mdp, value: _shifted(mdp, value, _average_change(mdp, value)),
        ),
        Mistake(
            "Your T counts tomorrow's value in full.",
            lambda mdp, value: _shifted(mdp, value, _undiscounted_change(mdp, value)),
        ),
        Mistake(
            "You return the shift alone; the bound is on V*(ρ).",
            lambda mdp, value: float(_change(mdp, value).max() / (1 - mdp.discount)),
        ),
    ),
)


# Task 3: a certificate that can fail.


def _improvement(mdp: MDP, policy: Array) -> Array:
    """Return TV^π − V^π, at least 0 but for rounding, shape (S,)."""
    return _change(mdp, evaluate(mdp, policy).value)


def _accepts(mdp: MDP, policy: Array, tolerance: float) -> bool:
    """Decide by Task 2: from every start, the bound that V^π gives exceeds V^π by its shift."""
    at = evaluate(mdp, policy)
    return _bound(mdp, at.value) - at.expected_return <= tolerance


def _loss(mdp: MDP, policy: Array) -> Array:
    return solve(mdp).value - evaluate(mdp, policy).value


def _only_best_actions(mdp: MDP, policy: Array) -> bool:
    action_value = evaluate(mdp, policy).action_value
    best = action_value >= action_value.max(axis=1, keepdims=True) - 1e-9 * mdp.scale / (1 - mdp.discount)
    return bool((policy[~best] == 0).all())


def _is_own_argmax(mdp: MDP, policy: Array) -> bool:
    greedy = np.eye(mdp.n_actions)[evaluate(mdp, policy).action_value.argmax(axis=1)]
    return bool(np.allclose(policy, greedy))


def _with_twins(mdp: MDP, best: Array) -> MDP:
    """Append to every state a copy of its best action, so that every state has a tie."""
    states, chosen = np.arange(mdp.n_states), best.argmax(axis=1)
    transition = np.concatenate([mdp.transition, mdp.transition[states, chosen][:, None]], axis=1)
    reward = np.column_stack([mdp.reward, mdp.reward[states, chosen]])
    return MDP(transition, reward, mdp.discount, mdp.initial)


def _side_room(rng: np.random.Generator, discount: float) -> MDP:
    """Draw a model whose last state is never entered and never left, with a good and a bad action there."""
    inner = garnet(rng, 4, 2, discount)
    transition = np.zeros((5, 2, 5))
    transition[:4, :, :4] = inner.transition
    transition[4, :, 4] = 1.0
    reward = np.vstack([inner.reward, [0.0, -1.0]])
    return MDP(transition, reward, discount, np.append(inner.initial, 0.0))


def _draw_optimal(rng: np.random.Generator) -> Iterator[Instance]:
    tight = 1e-6
    mdp = garnet(rng, 6, 3, 0.9)
    best = solve(mdp).policy
    yield Instance("an optimal policy", (mdp, best, tight))
    yield Instance("a random policy", (mdp, random_policy(rng, 6, 3), tight))
    share = rng.uniform(0.2, 0.8, size=(6, 1))
    mixed = np.hstack([best * share, 1 - share])
    yield Instance("an optimal policy that mixes equally good actions", (_with_twins(mdp, best), mixed, tight))
    near = 0.98 * best + 0.02 * random_policy(rng, 6, 3)
    yield Instance("a policy that is nearly optimal, asked strictly", (mdp, near, tight))
    provable = float(_improvement(mdp, near).max()) / (1 - mdp.discount)
    yield Instance("a policy that is nearly optimal, asked leniently", (mdp, near, 1.5 * provable))
    actual = float(_loss(mdp, near).max())
    yield Instance("a tolerance between the loss and what is proved", (mdp, near, 0.5 * (actual + provable)))
    single = float(_improvement(mdp, near).max())
    yield Instance("a tolerance just above the gain of one step", (mdp, near, 1.05 * single))
    room = _side_room(rng, 0.8)
    careless = solve(room).policy.copy()
    careless[4] = [0.0, 1.0]
    yield Instance("a policy that errs where ρ never leads", (room, careless, 1e-6))
    careless[4] = [0.9, 0.1]
    provable = float(_improvement(room, careless).max()) / (1 - room.discount)
    yield Instance("a policy that errs in one state", (room, careless, 0.9 * provable))
    yield Instance("a policy that errs in one state, asked leniently", (room, careless, 1.1 * provable))
    for discount in (0.6, 0.95):
        mdp = garnet(rng, 6, 3, discount)
        yield from _around_the_threshold(f"a random policy at γ = {discount}", mdp, random_policy(rng, 6, 3))
    mdp = garnet(rng, 6, 3, 0.0)
    yield from _around_the_threshold("a policy that errs in every state, γ = 0", mdp, _erring(rng, mdp))


def _around_the_threshold(label: str, mdp: MDP, policy: Array) -> Iterator[Instance]:
    """Ask for a little less and for a little more than what can be proved."""
    provable = float(_improvement(mdp, policy).max()) / (1 - mdp.discount)
    yield Instance(f"{label}, a tolerance just too tight", (mdp, policy, 0.97 * provable))
    yield Instance(f"{label}, a tolerance just wide enough", (mdp, policy, 1.03 * provable))


def _erring(rng: np.random.Generator, mdp: MDP) -> Array:
    """Mix the best and the worst action at γ = 0 so that all states lose nearly the same."""
    states = np.arange(mdp.n_states)
    spread = np.ptp(mdp.reward, axis=1)
    share = rng.uniform(0.98, 1.0, size=mdp.n_states) * spread.min() / spread
    policy = np.zeros((mdp.n_states, mdp.n_actions))
    policy[states, mdp.reward.argmax(axis=1)] = 1 - share
    policy[states, mdp.reward.argmin(axis=1)] = share
    return policy


# Bits tell what a certificate decides, not why; so the sentences say what was observed.
UNPROVED = (
    "Your certificate accepts a loss that the argument of Task 2 does not prove"
    " (does it use V* or a smaller constant?)."
)

is_optimal = Task(
    _accepts,
    _draw_optimal,
    (
        Mistake(
            "Your certificate accepts every policy that was tried (is there one that it refuses?).",
            lambda mdp, policy, tolerance: True,
        ),
        Mistake(
            "Your certificate refuses every policy that was tried, the optimal ones too.",
            lambda mdp, policy, tolerance: False,
        ),
        Mistake(
            "Your certificate accepts a policy that errs in a state where ρ never leads.",
            lambda mdp, policy, tolerance: mdp.initial @ _loss(mdp, policy) <= tolerance,
        ),
        Mistake(
            "Your certificate accepts a policy that errs in a state where ρ never leads.",
            lambda mdp, policy, tolerance: mdp.initial @ _improvement(mdp, policy) <= (1 - mdp.discount) * tolerance,
        ),
        Mistake(
            "Your certificate accepts a policy that errs in one state only.",
            lambda mdp, policy, tolerance: _improvement(mdp, policy).mean() <= (1 - mdp.discount) * tolerance,
        ),
        Mistake(
            "Your certificate accepts a tolerance just above the gain of one step; the gains of later steps add up.",
            lambda mdp, policy, tolerance: _improvement(mdp, policy).max() <= tolerance,
        ),
        Mistake(
            "Your certificate refuses an optimal policy that mixes equally good actions.",
            lambda mdp, policy, tolerance: _is_own_argmax(mdp, policy),
        ),
        Mistake(
            "Your certificate refuses every policy that is not optimal, however wide the tolerance.",
            lambda mdp, policy, tolerance: _only_best_actions(mdp, policy),
        ),
        Mistake(UNPROVED, lambda mdp, policy, tolerance: _loss(mdp, policy).max() <= tolerance),
        Mistake(
            UNPROVED,
            lambda mdp, policy, tolerance: (
                mdp.discount * _improvement(mdp, policy).max() <= (1 - mdp.discount) * tolerance
            ),
        ),
        Mistake(
            UNPROVED,
            lambda mdp, policy, tolerance: np.ptp(_improvement(mdp, policy)) <= (1 - mdp.discount) * tolerance,
        ),
        Mistake(
            "Your certificate refuses a policy although the proof reaches its tolerance.",
            lambda mdp, policy, tolerance: np.linalg.norm(_improvement(mdp, policy)) <= (1 - mdp.discount) * tolerance,
        ),
    ),
)
