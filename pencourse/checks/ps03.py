"""Problem set 03: the optimistic follower, the wage at which a clerk flips, the pull-back of a mixture of models.

Each `Task` is called with the student's function, and with a seed for other instances.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
from scipy.optimize import brentq

from ..bilevel import Term
from ..evaluation import evaluate
from ..models import MDP
from ..planning import solve
from ..typing import Array
from ..worlds import random_mdp
from . import Instance, Mistake, Task

# Task 1: the optimistic follower. Arguments: P, r_lower, r_upper, γ, ρ.

ROUNDING = 1e-8  # of max|r_lower|: differences below are rounding
NEAR = 2e-4  # of max|r_lower|: how near a near-tie is
PROGRAM = 1e-3  # there a linear program's slack is divided by NEAR, so that 1e-9 may buy the upper level 1e-4


def _all_returns(transition: Array, lower: Array, upper: Array, discount: float, initial: Array) -> tuple[Array, Array]:
    """Return for every deterministic policy whether it is optimal, and its return under the upper reward."""
    n_states, n_actions = lower.shape
    chosen = np.array(list(product(range(n_actions), repeat=n_states)))  # (A**S, S)
    states = np.arange(n_states)
    systems = np.eye(n_states) - discount * transition[states, chosen]
    gains = np.stack([lower[states, chosen], upper[states, chosen]], axis=2)
    values = np.linalg.solve(systems, gains)
    short = (values[:, :, 0].max(axis=0) - values[:, :, 0]).max(axis=1)
    allowed = ROUNDING * (float(np.abs(lower).max()) or 1.0) / (1 - discount)
    return short <= allowed, values[:, :, 1] @ initial


def _optimistic(transition: Array, lower: Array, upper: Array, discount: float, initial: Array) -> float:
    """Try every deterministic policy: the best for the upper reward of those that are optimal for the lower one."""
    optimal, returns = _all_returns(transition, lower, upper, discount, initial)
    return float(returns[optimal].max())


def _pessimistic(transition: Array, lower: Array, upper: Array, discount: float, initial: Array) -> float:
    optimal, returns = _all_returns(transition, lower, upper, discount, initial)
    return float(returns[optimal].min())


def _is_some_optimal_return(
    found: Array, transition: Array, lower: Array, upper: Array, discount: float, initial: Array
) -> bool:
    """Tell whether some optimal follower, mixed or not, earns the upper level what was found."""
    optimal, returns = _all_returns(transition, lower, upper, discount, initial)
    worst, best = returns[optimal].min(), returns[optimal].max()
    slack = 1e-6 * abs(best)
    return bool(worst - slack <= float(found) <= best + slack)


def _is_no_less_than_optimal(
    found: Array, transition: Array, lower: Array, upper: Array, discount: float, initial: Array
) -> bool:
    """Tell whether the upper level earns at least what the best optimal follower brings."""
    best = _optimistic(transition, lower, upper, discount, initial)
    return bool(float(found) >= best - 1e-6 * abs(best))


def _among(
    allowed: Array,
    transition: Array,
    lower: Array,
    upper: Array,
    discount: float,
    initial: Array,
    *,
    mean: bool = False,
) -> float:
    """Return the upper return of the best policy on the allowed actions (a mask), or of the one that tosses coins."""
    share = allowed / allowed.sum(axis=1, keepdims=True)
    if mean:
        return evaluate(MDP(transition, upper, discount, initial), share).expected_return
    states, some = np.arange(len(upper)), allowed.argmax(axis=1)
    kernel = np.where(allowed[:, :, None], transition, transition[states, some][:, None])
    gain = np.where(allowed, upper, upper[states, some][:, None])
    return solve(MDP(kernel, gain, discount, initial)).expected_return


def _tied(transition: Array, lower: Array, discount: float, initial: Array, width: float) -> Array:
    """Return the mask of the actions whose Q* is within `width` of the best."""
    action_value = solve(MDP(transition, lower, discount, initial), tolerance=1e-13).action_value
    result: Array = action_value >= action_value.max(axis=1, keepdims=True) - width
    return result


def _really_tied(transition: Array, lower: Array, discount: float, initial: Array) -> Array:
    return _tied(transition, lower, discount, initial, ROUNDING * float(np.abs(lower).max()))


def _coin(P: Array, low: Array, up: Array, g: float, rho: Array) -> float:
    return _among(_really_tied(P, low, g, rho), P, low, up, g, rho, mean=True)


def _settled_by(ahead: Array, P: Array, low: Array, up: Array, g: float, rho: Array) -> float:
    """Return the upper return of the policy that takes, of equally good actions, the first with the most `ahead`."""
    tied = _really_tied(P, low, g, rho)
    policy = np.eye(low.shape[1])[np.where(tied, ahead, -np.inf).argmax(axis=1)]
    return evaluate(MDP(P, up, g, rho), policy).expected_return


def _short_sighted_tie(P: Array, low: Array, up: Array, g: float, rho: Array) -> float:
    return _settled_by(up, P, low, up, g, rho)


def _half_way(P: Array, low: Array, up: Array, g: float, rho: Array) -> tuple[float, float]:
    """Settle ties by the upper values of one optimal follower, and by those of a follower who obeys."""
    world = MDP(P, up, g, rho)
    one = evaluate(world, solve(MDP(P, low, g, rho)).policy).value
    first, second = (_settled_by(up + g * P @ value, P, low, up, g, rho) for value in (one, solve(world).value))
    return first, second


def _least_paid(P: Array, low: Array, up: Array, g: float, rho: Array) -> float:
    """Forbid an action by the least reward there is: what it leads to stays."""
    gain = np.where(_really_tied(P, low, g, rho), up, up.min())
    return solve(MDP(P, gain, g, rho)).expected_return


def _between(P: Array, low: Array, up: Array, g: float, rho: Array) -> float:
    """Return what some optimal follower earns the upper level that is neither the best nor the worst."""
    return 0.7 * _optimistic(P, low, up, g, rho) + 0.3 * _pessimistic(P, low, up, g, rho)


def _short_sighted_follower(P: Array, low: Array, up: Array, g: float, rho: Array) -> float:
    return _among(low >= low.max(axis=1, keepdims=True), P, low, up, g, rho)


def _obeys(P: Array, low: Array, up: Array, g: float, rho: Array) -> float:
    return solve(MDP(P, up, g, rho)).expected_return


def _mixing(weight: float) -> Callable[..., float]:
    """Return the mistake of letting the follower plan for r_lower + weight r_upper."""

    def compute(P: Array, low: Array, up: Array, g: float, rho: Array) -> float:
        policy = solve(MDP(P, low + weight * up, g, rho), tolerance=1e-13).policy
        return evaluate(MDP(P, up, g, rho), policy).expected_return

    return compute


def _too_wide(width: float) -> Callable[..., float]:
    """Return the mistake of a tolerance for ties that is not relative to the rewards."""

    def compute(P: Array, low: Array, up: Array, g: float, rho: Array) -> float:
        return _among(_tied(P, low, g, rho, width), P, low, up, g, rho)

    return compute


def _with_ties(
    rng: np.random.Generator,
    n_states: int,
    n_actions: int,
    discount: float,
    ties: int,
    *,
    extra: int = 1,
    deep: bool = False,
) -> tuple[Array, Array, Array, float, Array]:
    """Draw P, r_lower, r_upper, γ, ρ with `extra` further optimal actions in each of the first `ties` states.

    What is not tied is worse by 5 per cent of max|r_lower| or more. Without ties it is wrong to obey; with them, to
    settle them by what the upper level is paid today, and if `deep` also by one step of policy iteration, or to forbid
    actions by a low reward.
    """
    while True:
        mdp = random_mdp(rng, n_states, n_actions, discount, branching=min(3, n_states))
        lower, upper = rng.normal(size=(2, n_states, n_actions))
        plan = solve(MDP(mdp.transition, lower, discount, mdp.initial), tolerance=1e-13)
        order = np.argsort(-plan.action_value, axis=1)
        tied = plan.action_value >= plan.value[:, None] - 1e-9
        for state in range(ties):
            for action in order[state, 1 : 1 + extra]:
                lower[state, action] += plan.value[state] - plan.action_value[state, action]
                tied[state, action] = True
        gap = plan.value[:, None] - plan.action_value
        if gap[~tied].min(initial=np.inf) <= 0.05 * np.abs(lower).max():
            continue
        drawn = (mdp.transition, lower, upper, discount, rng.dirichlet(np.ones(n_states)))
        best = _optimistic(*drawn)
        if abs(best) < 0.1 * np.abs(upper).max():  # errors are measured against it
            continue
        near = [_short_sighted_tie(*drawn)] if ties else [_short_sighted_follower(*drawn), _obeys(*drawn)]
        near += [*_half_way(*drawn), _least_paid(*drawn)] if deep else []
        if min(abs(best - other) for other in near) > 0.01 * abs(best):
            return drawn


def _draw_follower(rng: np.random.Generator) -> Iterator[Instance]:
    drawn = _with_ties(rng, 5, 3, 0.9, 5, deep=True)
    transition, lower, upper, discount, initial = drawn
    yield Instance("ties in every state, γ = 0.9", drawn)
    yield Instance("rewards of size 1e3", (transition, 1e3 * lower, 1e3 * upper, discount, initial))
    yield Instance("a single start state", (transition, lower, upper, discount, np.eye(5)[rng.integers(5)]))
    yield Instance("ties in every state, γ = 0.6", _with_ties(rng, 7, 2, 0.6, 7))
    yield Instance("ties of three actions in some states", _with_ties(rng, 4, 4, 0.8, 2, extra=2))
    drawn = _with_ties(rng, 5, 3, 0.9, 0)
    transition, lower, upper, discount, initial = drawn
    yield Instance("no ties", drawn)
    yield Instance("no ties, and upper rewards of size 1e7", (transition, lower, 1e7 * upper, discount, initial))
    transition, lower, upper, discount, initial = _with_ties(rng, 5, 3, 0.9, 5)
    # The third action is almost as good as the two best, and the upper level would like it very much.
    plan = solve(MDP(transition, lower, discount, initial), tolerance=1e-13)
    states, last = np.arange(5), plan.action_value.argmin(axis=1)
    lower[states, last] += plan.value - plan.action_value[states, last]  # now they tie
    lower[states, last] -= NEAR * np.abs(lower).max()
    upper[states, last] += 5.0
    label = "actions that are nearly as good as the best"
    yield Instance(label, (transition, lower, upper, discount, initial), PROGRAM)
    tiny = (transition, 1e-6 * lower, upper, discount, initial)
    yield Instance(f"lower rewards of size 1e-6, and {label}", tiny, PROGRAM)


MIXED = "Your follower plans for a mixture of both rewards and gives up some of its own."
TOO_WIDE = "Your follower takes actions for equally good that are not (is your tolerance relative to the rewards?)."

optimistic_return = Task(
    _optimistic,
    _draw_follower,
    (
        Mistake("Your follower is a pessimist's: of equally good actions it takes those that hurt most.", _pessimistic),
        Mistake("Your follower tosses a coin between equally good actions.", _coin),
        Mistake(
            "Your follower settles ties by what the upper level is paid today, and not by what comes after.",
            _short_sighted_tie,
        ),
        Mistake(
            "Your follower is optimal, but of the optimal ones it is not the best for the upper level"
            " (does it see all ties, also those that rounding hides, and does it look beyond one step?).",
            _between,
            _is_some_optimal_return,
        ),
        Mistake(
            "Your follower obeys: it maximises the upper reward and has forgotten its own.",
            _obeys,
        ),
        *(Mistake(MIXED, _mixing(weight)) for weight in (1.0, 0.1, 1e-2, 1e-4, 1e-6)),
        *(Mistake(TOO_WIDE, _too_wide(width)) for width in (1e-2, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)),
        Mistake(
            "Your follower compares what its actions pay today; they are to be compared by Q*.", _short_sighted_follower
        ),
        Mistake(
            "You return what the follower earns; what the upper level earns is asked.",
            lambda P, low, up, g, rho: solve(MDP(P, low, g, rho)).expected_return,
        ),
        Mistake(
            "Your result has the sign of f, which is minimised; the upper level's return is asked.",
            lambda P, low, up, g, rho: -_optimistic(P, low, up, g, rho),
        ),
        Mistake(
            "Your result does not know where one starts: it is the plain mean over the states.",
            lambda P, low, up, g, rho: _optimistic(P, low, up, g, np.full(len(rho), 1 / len(rho))),
        ),
        Mistake(
            "Your result is an average per step, and not the discounted sum.",
            lambda P, low, up, g, rho: (1 - g) * _optimistic(P, low, up, g, rho),
        ),
        Mistake(
            "Your result is more than any optimal follower can bring: an action that is not optimal for it is played"
            " or counted somewhere (is every tolerance relative to the rewards?).",
            _least_paid,
            _is_no_less_than_optimal,
        ),
    ),
    tolerance=1e-5,
)


# Task 2: where a clerk flips. Arguments: γ, q (found), f (laid off), e (ended), w (pay elsewhere).


def _flip(discount: float, found: float, laid_off: float, ended: float, pay: float) -> float:
    """Find by bisection the wage at which the library's optimal plan is indifferent."""
    kernel = np.array(
        [
            [[1 - laid_off, laid_off], [1 - found, found]],
            [[ended, 1 - ended], [ended, 1 - ended]],
        ]
    )

    def advantage(wage: float) -> float:
        reward = np.array([[wage, 0.0], [pay, pay]])
        stay, leave = solve(MDP(kernel, reward, discount, np.array([0.5, 0.5])), tolerance=1e-12).action_value[0]
        return float(stay - leave)

    return float(brentq(advantage, -2 * pay, 2 * pay, xtol=1e-13 * pay, rtol=1e-14))


def _balance(g: float, q: float, f: float, e: float, w: float, *, early: float = 1.0) -> float:
    """Return the wage at which staying and leaving are worth the same; early = 1/γ does not discount the move."""
    return early * w * g * (q - f) / (1 - g + g * (q + e))


def _one_attempt(g: float, q: float, f: float, e: float, w: float) -> float:
    """Let a clerk whose attempt fails earn nothing any more."""
    elsewhere = w / (1 - g * (1 - e) - g * e * g * q)
    return g * q * elsewhere * (1 - g * (1 - f)) - g * f * elsewhere


def _layoff_is_ruin(g: float, q: float, f: float, e: float, w: float) -> float:
    """Let a clerk who is laid off earn nothing any more."""
    search = g * q / (1 - g * (1 - q))
    elsewhere = w / (1 - g * (1 - e) - g * e * search)
    return (1 - g * (1 - f)) * search * elsewhere


def _draw_flip(rng: np.random.Generator) -> Iterator[Instance]:
    for discount in (0.9, 0.5, 0.99):
        found, laid_off = rng.uniform(0.4, 0.8), rng.uniform(0.1, 0.3)
        ended, pay = rng.uniform(0.1, 0.5), rng.uniform(0.5, 3.0)
        yield Instance(f"γ = {discount}", (discount, found, laid_off, ended, pay))
    yield Instance("a clerk who is easily laid off and hardly finds another job", (0.8, 0.2, 0.6, 0.3, 1.4))
    yield Instance("a pay of 1e3", (0.8, found, laid_off, ended, 1e3 * pay))
    yield Instance("a job elsewhere that never ends", (0.9, found, laid_off, 0.0, pay))
    yield Instance("a clerk who is never laid off", (0.9, found, 0.0, ended, pay))
    yield Instance("another job at the first attempt", (0.9, 1.0, laid_off, ended, pay))


flip_wage = Task(
    _flip,
    _draw_flip,
    (
        Mistake(
            "Your clerk is the lesson's, who always finds the other job and never loses one.",
            lambda g, q, f, e, w: g * w,
        ),
        Mistake(
            "Your clerk compares the two wages, and not what lies between one job and the other.",
            lambda g, q, f, e, w: w,
        ),
        Mistake(
            "Your clerk is never laid off.",
            lambda g, q, f, e, w: _balance(g, q, 0.0, e, w),
        ),
        Mistake(
            "Your clerk keeps the other job for ever.",
            lambda g, q, f, e, w: _balance(g, q, f, 0.0, w),
        ),
        Mistake(
            "Your clerk finds another job at the first attempt.",
            lambda g, q, f, e, w: _balance(g, 1.0, f, e, w),
        ),
        Mistake(
            "Your clerk does not wait: what lies elsewhere begins a step after the move and is discounted.",
            lambda g, q, f, e, w: _balance(g, q, f, e, w, early=1 / g),
        ),
        Mistake(
            "Your clerk looks one step ahead; attempts that fail are repeated, and jobs that end are found again.",
            lambda g, q, f, e, w: g * (q - f) * w,
        ),
        Mistake(
            "Your clerk takes time to find another job, but is never laid off and never loses the other one.",
            lambda g, q, f, e, w: _balance(g, q, 0.0, 0.0, w),
        ),
        Mistake(
            "Your wage has the wrong sign: who easily finds a job elsewhere stays for a high wage only.",
            lambda g, q, f, e, w: -_balance(g, q, f, e, w),
        ),
        Mistake(
            "Your clerk does not discount.",
            lambda g, q, f, e, w: w * (q - f) / (q + e),
        ),
        Mistake(
            "Your wage is never negative, but there are clerks who would pay to stay.",
            lambda g, q, f, e, w: max(_balance(g, q, f, e, w), 0.0),
        ),
        Mistake(
            "Your clerk is kept by the fear of being laid off, although that leads where leaving leads.",
            lambda g, q, f, e, w: _balance(g, q, -f, e, w),
        ),
        Mistake("Your clerk tries to leave once, and earns nothing any more if that fails.", _one_attempt),
        Mistake(
            "Your clerk is paid the wage while attempts to leave fail.",
            lambda g, q, f, e, w: g * (q - f) * w / (q * (1 - g + g * e + g * f) + g * (q - f)),
        ),
        Mistake("Your clerk earns nothing any more once laid off.", _layoff_is_ruin),
    ),
)


# Task 3: a pull-back. Arguments: x, terms, γ, two kernels, two lower rewards, two upper rewards.


def _weight(x: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-x))
    return result


def _pulled(
    x: Array, terms: Sequence[Term], discount: float, kernels: Array, lower_rewards: Array, upper_rewards: Array
) -> Array:
    """Differentiate the linear form itself, by a step into the complex plane, which loses no digits."""
    step = 1e-30
    rewards = {"lower": lower_rewards, "upper": upper_rewards}
    result = np.zeros(len(x))
    for state in range(len(x)):
        moved = x.astype(complex)
        moved[state] += 1j * step
        second = _weight(moved)[:, None]
        kernel = (1 - second[:, :, None]) * kernels[0] + second[:, :, None] * kernels[1]
        for term in terms:
            first_reward, second_reward = rewards[term.channel]
            reward = (1 - second) * first_reward + second * second_reward
            form = (term.mass * (reward + discount * kernel @ term.next_value)).sum()
            result[state] += form.imag / step
    return result


def _general(
    x: Array,
    terms: Sequence[Term],
    rewards: dict[str, Array],
    kernel: Array,
    discount: float,
    factor: Array | float | None = None,
    of_reward: float = 1.0,
) -> Array:
    """Return factor(s) Σ_a mass [of_reward · reward + γ kernel next_value], summed over terms.

    `rewards` maps a channel to the change of its reward and `kernel` is the change of the kernel.
    """
    weight = _weight(x)
    total = np.zeros(len(x))
    for term in terms:
        change = of_reward * rewards[term.channel] + discount * kernel @ term.next_value
        total += (term.mass * change).sum(axis=1)
    result: Array = (weight * (1 - weight) if factor is None else factor) * total
    return result


def _changes(lower: Array, upper: Array) -> dict[str, Array]:
    return {"lower": lower[1] - lower[0], "upper": upper[1] - upper[0]}


def _quotient(x: Array, terms: Sequence[Term], discount: float, kernels: Array, lower: Array, upper: Array) -> Array:
    """Take central differences of the form: some digits, and none where the slope of the share is tiny."""
    step, rewards = 1e-5, {"lower": lower, "upper": upper}
    moved = [_weight(x + sign * step)[:, None] for sign in (-1, 1)]
    result = np.zeros(len(x))
    for term in terms:
        ends = []
        for second in moved:
            kernel = (1 - second[:, :, None]) * kernels[0] + second[:, :, None] * kernels[1]
            reward = (1 - second) * rewards[term.channel][0] + second * rewards[term.channel][1]
            ends.append((term.mass * (reward + discount * kernel @ term.next_value)).sum(axis=1))
        result += (ends[1] - ends[0]) / (2 * step)
    return result


def _is_right_to_some_digits(
    found: Array, x: Array, terms: Sequence[Term], discount: float, kernels: Array, lower: Array, upper: Array
) -> bool:
    """Tell whether the error is small beside the form, whether or not it is beside the derivative."""
    rewards = {"lower": lower, "upper": upper}
    size = sum(
        np.abs(term.mass).sum(axis=1).max() * (np.abs(rewards[term.channel]).max() + np.abs(term.next_value).max())
        for term in terms
    )
    return bool(np.abs(found - _pulled(x, terms, discount, kernels, lower, upper)).max() <= 1e-5 * size)


def _backwards(x: Array, terms: Sequence[Term], discount: float, kernels: Array, lower: Array, upper: Array) -> Array:
    """Multiply the kernel by the next value on the side of the state one comes from."""
    change, weight, total = kernels[1] - kernels[0], _weight(x), np.zeros(len(x))
    for term in terms:
        gain = _changes(lower, upper)[term.channel] + discount * np.einsum("san,s->na", change, term.next_value)
        total += (term.mass * gain).sum(axis=1)
    result: Array = weight * (1 - weight) * total
    return result


def _mixed_model(x: Array, terms: Sequence[Term], discount: float, kernels: Array, lower: Array, upper: Array) -> Array:
    """Put the model itself where its change belongs."""
    second = _weight(x)[:, None]
    kernel = (1 - second[:, :, None]) * kernels[0] + second[:, :, None] * kernels[1]
    rewards = {name: (1 - second) * pair[0] + second * pair[1] for name, pair in (("lower", lower), ("upper", upper))}
    return _general(x, terms, rewards, kernel, discount)


def _kernel_of_lower_terms_only(
    x: Array, terms: Sequence[Term], discount: float, kernels: Array, lower: Array, upper: Array
) -> Array:
    change, none = kernels[1] - kernels[0], np.zeros_like(kernels[0])
    parts = [
        _general(x, [term], _changes(lower, upper), change if term.channel == "lower" else none, discount)
        for term in terms
    ]
    result: Array = np.sum(parts, axis=0)
    return result


def _summed_first(terms: Sequence[Term]) -> list[Term]:
    """Sum masses and next values apart, as if products did not mind; the channel of the first."""
    mass, ahead = sum(term.mass for term in terms), sum(term.next_value for term in terms)
    return [Term(np.asarray(mass), np.asarray(ahead), terms[0].channel)]


def _lower_only(terms: Sequence[Term]) -> list[Term]:
    return [term for term in terms if term.channel == "lower"]


def _renamed(terms: Sequence[Term]) -> list[Term]:
    return [Term(term.mass, term.next_value, "lower") for term in terms]


def _draw_pull_back(rng: np.random.Generator) -> Iterator[Instance]:
    def data(n_states: int, n_actions: int) -> tuple[Array, Array, Array]:
        kernels = [random_mdp(rng, n_states, n_actions, 0.9, branching=2).transition for _ in range(2)]
        lower, upper = rng.normal(size=(2, 2, n_states, n_actions))
        return np.stack(kernels), lower, upper

    def term(n_states: int, n_actions: int, channel: str) -> Term:
        return Term(rng.normal(size=(n_states, n_actions)), 3 * rng.normal(size=n_states), channel)

    for n_states, n_actions, discount in ((5, 3, 0.9), (7, 2, 0.6)):
        world = data(n_states, n_actions)
        terms = [term(n_states, n_actions, channel) for channel in ("lower", "upper", "lower")]
        x = 2 * rng.normal(size=n_states)
        yield Instance(f"three terms and γ = {discount}", (x, terms, discount, *world))
    for channel in ("lower", "upper"):
        x = 2 * rng.normal(size=7)
        yield Instance(f"one term, of channel '{channel}'", (x, [term(7, 2, channel)], 0.6, *world))
    yield Instance("x = 0", (np.zeros(7), terms, 0.6, *world))
    kernels, lower, upper = world
    yield Instance("rewards of size 1e3", (x, terms, 0.6, kernels, 1e3 * lower, 1e3 * upper))
    yield Instance("two kernels that are the same", (x, terms, 0.6, np.stack([kernels[0]] * 2), lower, upper))
    yield Instance("γ = 0", (x, terms, 0.0, *world))
    ends = rng.choice([-1.0, 1.0], size=7) * rng.uniform(17.0, 20.0, size=7)
    yield Instance("knobs that are turned nearly all the way", (ends, terms, 0.6, *world))


pull_back = Task(
    _pulled,
    _draw_pull_back,
    (
        Mistake(
            "Your derivative is the one in the weight; the weight is a function of x.",
            lambda x, terms, g, P, low, up: _general(x, terms, _changes(low, up), P[1] - P[0], g, 1.0),
        ),
        Mistake(
            "Your derivative of the weight takes x itself for the weight.",
            lambda x, terms, g, P, low, up: _general(x, terms, _changes(low, up), P[1] - P[0], g, x * (1 - x)),
        ),
        Mistake(
            "Your derivative of the weight is the weight.",
            lambda x, terms, g, P, low, up: _general(x, terms, _changes(low, up), P[1] - P[0], g, _weight(x)),
        ),
        Mistake(
            "Your pull-back counts tomorrow in full.",
            lambda x, terms, g, P, low, up: _general(x, terms, _changes(low, up), P[1] - P[0], 1.0),
        ),
        Mistake(
            "Your pull-back discounts today's reward too.",
            lambda x, terms, g, P, low, up: g * _general(x, terms, _changes(low, up), P[1] - P[0], 1.0),
        ),
        Mistake(
            "Nothing of the kernel is left in your pull-back; it depends on x as well, and next_value belongs to the"
            " state one comes to.",
            lambda x, terms, g, P, low, up: _general(x, terms, _changes(low, up), P[1] - P[0], 0.0),
        ),
        Mistake(
            "Your pull-back reads the kernel backwards: next_value belongs to the state one comes to.",
            _backwards,
        ),
        Mistake(
            "Your pull-back leaves out the rewards.",
            lambda x, terms, g, P, low, up: _general(x, terms, _changes(low, up), P[1] - P[0], g, of_reward=0.0),
        ),
        Mistake(
            "Your pull-back reads the lower level's reward in every term, whatever its channel.",
            lambda x, terms, g, P, low, up: _general(x, _renamed(terms), _changes(low, up), P[1] - P[0], g),
        ),
        Mistake(
            "Your pull-back takes one channel for the other.",
            lambda x, terms, g, P, low, up: _pulled(x, terms, g, P, up, low),
        ),
        Mistake(
            "Your pull-back drops the terms of channel 'upper'.",
            lambda x, terms, g, P, low, up: _general(x, _lower_only(terms), _changes(low, up), P[1] - P[0], g),
        ),
        Mistake(
            "Your pull-back leaves the kernel out of the terms of channel 'upper'; all terms share one kernel.",
            _kernel_of_lower_terms_only,
        ),
        Mistake(
            "Your pull-back has the wrong sign: look which of the two designs gains when x grows.",
            lambda x, terms, g, P, low, up: -_pulled(x, terms, g, P, low, up),
        ),
        Mistake("Your pull-back puts the model where its derivative belongs.", _mixed_model),
        Mistake(
            "Your pull-back knows design 1 only; the share of design 0 changes too.",
            lambda x, terms, g, P, low, up: _general(x, terms, {"lower": low[1], "upper": up[1]}, P[1], g),
        ),
        Mistake(
            "Your pull-back looks at the first term only.",
            lambda x, terms, g, P, low, up: _general(x, terms[:1], _changes(low, up), P[1] - P[0], g),
        ),
        Mistake(
            "Your pull-back sums masses and next values apart before it multiplies them.",
            lambda x, terms, g, P, low, up: _general(x, _summed_first(terms), _changes(low, up), P[1] - P[0], g),
        ),
        Mistake(
            "Your pull-back is spread evenly over the states; each entry of x moves one state only.",
            lambda x, terms, g, P, low, up: np.full(len(x), _pulled(x, terms, g, P, low, up).mean()),
        ),
        Mistake(
            "Your derivative is right to some digits, as a difference quotient is, and those are not enough where a"
            " knob is turned nearly all the way.",
            _quotient,
            _is_right_to_some_digits,
        ),
    ),
)
