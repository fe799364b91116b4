"""Problem set 02: soft backups and Newton's step with a prior, the gap from π*, a number of mirror-descent steps.

The regulariser of the first and the third task is KL(u‖π₀), the divergence from a prior. Each `Task` is called with
the student's function, and with a seed for other instances.
"""

from collections.abc import Iterator

import numpy as np
from scipy.special import logsumexp, rel_entr, softmax, xlogy

from ..evaluation import evaluate
from ..models import MDP
from ..simplex import random_policy, uniform_policy
from ..typing import Array
from . import Instance, Mistake, Task
from .shared import garnet


def _with_zeros(rng: np.random.Generator, policy: Array) -> Array:
    """Take one action out of every row of a policy of three actions or more."""
    kept = policy.copy()
    kept[np.arange(len(policy)), rng.integers(policy.shape[1], size=len(policy))] = 0.0
    result: Array = kept / kept.sum(axis=1, keepdims=True)
    return result


# Task 1: the soft Bellman operator with a prior. Arguments: P, r, γ, τ, π₀, V.


def _ahead(transition: Array, reward: Array, discount: float, value: Array) -> Array:
    result: Array = reward + discount * transition @ value
    return result


def _soft(transition: Array, reward: Array, discount: float, temperature: float, prior: Array, value: Array) -> Array:
    """Maximise over u: the maximiser's own ⟨u, q⟩ − τ KL(u‖π₀), not the closed form of the maximum."""
    ahead = _ahead(transition, reward, discount, value)
    chosen = _greedy(ahead, temperature, prior)
    cost = rel_entr(chosen, np.where(chosen > 0, prior, 1.0))
    # What is far below the best of its row weighs nothing, and would only carry rounding of its own size.
    best = ahead.max(axis=1, where=prior > 0, initial=-np.inf)[:, None]
    result: Array = best[:, 0] + (chosen * np.where(chosen > 0, ahead - best, 0.0) - temperature * cost).sum(axis=1)
    return result


def _greedy(ahead: Array, temperature: float, prior: Array) -> Array:
    """Return the row u ∝ π₀ exp(q/τ) of each state."""
    with np.errstate(divide="ignore"):
        scores = np.log(prior) + ahead / temperature
    result: Array = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
    return result


FINE = 1e-9  # where rewards are large: the prior moves a value of size 1e6 by about τ


def _draw_soft(rng: np.random.Generator) -> Iterator[Instance]:
    mdp = garnet(rng, 5, 3, 0.9)
    prior, value = random_policy(rng, 5, 3), 2 * rng.normal(size=5)
    yield Instance("rewards of size 1 and τ = 0.5", (mdp.transition, mdp.reward, 0.9, 0.5, prior, value))
    yield Instance("rewards of size 1 and τ = 3", (mdp.transition, mdp.reward, 0.9, 3.0, prior, value))
    holes = _with_zeros(rng, prior)
    yield Instance("a prior with zeros", (mdp.transition, mdp.reward, 0.9, 0.5, holes, value))
    big = 1e6 * mdp.reward
    large = (mdp.transition, big, 0.9, 0.5, prior, 1e6 * value)
    yield Instance("rewards of size 1e6", large, FINE)
    # The forbidden action is the best by far, so that a shift by the maximum over all actions underflows.
    tempting = big + 1e7 * (holes == 0)
    yield Instance(
        "rewards of size 1e7 and a prior that forbids the best action",
        (mdp.transition, tempting, 0.9, 0.5, holes, 1e6 * value),
        FINE,
    )


def _log_mean_exp(ahead: Array, temperature: float, prior: Array) -> Array:
    result: Array = temperature * logsumexp(ahead / temperature, b=prior, axis=1)
    return result


soft_backup = Task(
    _soft,
    _draw_soft,
    (
        Mistake(
            "Your backup forgets the prior: it is the plain log-sum-exp.",
            lambda P, r, g, t, prior, V: _log_mean_exp(_ahead(P, r, g, V), t, np.ones_like(prior)),
        ),
        Mistake(
            "Your backup uses the uniform prior, whatever prior is given.",
            lambda P, r, g, t, prior, V: _log_mean_exp(_ahead(P, r, g, V), t, uniform_policy(*prior.shape)),
        ),
        Mistake(
            "Your backup divides by the temperature inside and does not come back to units of reward.",
            lambda P, r, g, t, prior, V: _log_mean_exp(_ahead(P, r, g, V), t, prior) / t,
        ),
        Mistake(
            "Your backup is the one at τ = 1, whatever temperature is given.",
            lambda P, r, g, t, prior, V: _log_mean_exp(_ahead(P, r, g, V), 1.0, prior),
        ),
        Mistake(
            "Your backup multiplies by the temperature but does not divide by it inside.",
            lambda P, r, g, t, prior, V: t * _log_mean_exp(_ahead(P, r, g, V), 1.0, prior),
        ),
        Mistake(
            "Your backup counts tomorrow's value in full.",
            lambda P, r, g, t, prior, V: _log_mean_exp(_ahead(P, r, 1.0, V), t, prior),
        ),
        Mistake(
            "Your backup averages under the prior and never moves away from it.",
            lambda P, r, g, t, prior, V: (prior * _ahead(P, r, g, V)).sum(axis=1),
        ),
        Mistake(
            "Your backup takes the best action that the prior allows and charges nothing for it.",
            lambda P, r, g, t, prior, V: np.where(prior > 0, _ahead(P, r, g, V), -np.inf).max(axis=1),
        ),
    ),
    not_finite="Your exponentials leave the range of floating point numbers and the result holds NaN or an infinity",
)


# Task 2: the gap to the optimum from π* alone. Arguments: P, ρ, γ, τ, π*, π.


def _gap(
    transition: Array, initial: Array, discount: float, temperature: float, optimal: Array, policy: Array
) -> float:
    """Evaluate the policy in the model whose reward is τ log π*: there π* is optimal and V* = 0.

    Any other reward with the same π* differs from it by a potential and has the same gap.
    """
    mdp = MDP(transition, temperature * np.log(optimal), discount, initial, temperature)
    return -evaluate(mdp, policy).expected_return


def _weighted(weights: Array, temperature: float, divergence: Array) -> float:
    return float(temperature * weights @ divergence.sum(axis=1))


def _occupancy(transition: Array, initial: Array, discount: float, policy: Array) -> Array:
    return evaluate(MDP(transition, np.zeros_like(policy), discount, initial), policy).occupancy


def _draw_gap(rng: np.random.Generator) -> Iterator[Instance]:
    for n_states, n_actions, discount, temperature in ((5, 3, 0.9, 0.5), (7, 4, 0.7, 2.0)):
        mdp = garnet(rng, n_states, n_actions, discount)
        optimal, policy = random_policy(rng, n_states, n_actions), random_policy(rng, n_states, n_actions)
        label = f"a random policy, τ = {temperature}"
        yield Instance(label, (mdp.transition, mdp.initial, discount, temperature, optimal, policy))
    holes = _with_zeros(rng, policy)
    yield Instance("a policy with zeros", (mdp.transition, mdp.initial, 0.7, 2.0, optimal, holes))
    fixed = np.eye(4)[rng.integers(4, size=7)]
    yield Instance("a deterministic policy", (mdp.transition, mdp.initial, 0.7, 2.0, optimal, fixed))
    start = np.eye(7)[rng.integers(7)]
    yield Instance("a single start state", (mdp.transition, start, 0.7, 2.0, optimal, policy))
    scores = 40 * rng.normal(size=(7, 4))
    certain = softmax(scores, axis=1)
    unlikely = np.eye(4)[scores.argmin(axis=1)]
    yield Instance("actions that π* hardly ever takes", (mdp.transition, mdp.initial, 0.7, 2.0, certain, unlikely))


def _guarded_by_sum(u: Array, v: Array) -> Array:
    result: Array = u * np.log((u + 1e-12) / (v + 1e-12))
    return result


def _guarded_by_maximum(u: Array, v: Array) -> Array:
    result: Array = u * np.log(np.maximum(u, 1e-12) / np.maximum(v, 1e-12))
    return result


REVERSED = "Your gap measures the divergence the wrong way round: that one is infinite where π never plays an action."
GUARDED = "Your guard against log 0 changes probabilities that are small but not 0."

gap_to_optimum = Task(
    _gap,
    _draw_gap,
    (
        Mistake(
            "Your gap weights the states by where the agent starts, not by where it goes.",
            lambda P, rho, g, t, best, pi: _weighted(rho, t, rel_entr(pi, best)),
        ),
        Mistake(
            "Your gap weights the states by the visits of π*; it is the other policy that errs on its own way.",
            lambda P, rho, g, t, best, pi: _weighted(_occupancy(P, rho, g, best), t, rel_entr(pi, best)),
        ),
        Mistake(
            "Your gap leaves out the temperature, so it is no reward.",
            lambda P, rho, g, t, best, pi: _weighted(_occupancy(P, rho, g, pi), 1.0, rel_entr(pi, best)),
        ),
        Mistake(
            "Your gap is an average per step: the visits of your occupancy sum to 1.",
            lambda P, rho, g, t, best, pi: _weighted((1 - g) * _occupancy(P, rho, g, pi), t, rel_entr(pi, best)),
        ),
        Mistake(REVERSED, lambda P, rho, g, t, best, pi: _weighted(_occupancy(P, rho, g, pi), t, rel_entr(best, pi))),
        Mistake(
            REVERSED,
            lambda P, rho, g, t, best, pi: _weighted(_occupancy(P, rho, g, pi), t, _guarded_by_sum(best, pi)),
        ),
        Mistake(
            REVERSED,
            lambda P, rho, g, t, best, pi: _weighted(_occupancy(P, rho, g, pi), t, _guarded_by_maximum(best, pi)),
        ),
        Mistake(
            GUARDED,
            lambda P, rho, g, t, best, pi: _weighted(_occupancy(P, rho, g, pi), t, _guarded_by_sum(pi, best)),
        ),
        Mistake(
            GUARDED,
            lambda P, rho, g, t, best, pi: _weighted(_occupancy(P, rho, g, pi), t, _guarded_by_maximum(pi, best)),
        ),
        Mistake(
            "Your gap has the wrong sign: no policy is better than the best.",
            lambda P, rho, g, t, best, pi: -_gap(P, rho, g, t, best, pi),
        ),
        Mistake(
            "Your occupancy flows backwards: look at which index of P_π is the state one comes from.",
            lambda P, rho, g, t, best, pi: _weighted(_backwards(P, rho, g, pi), t, rel_entr(pi, best)),
        ),
    ),
    not_finite="Your divergence is NaN or infinite",
)


def _backwards(transition: Array, initial: Array, discount: float, policy: Array) -> Array:
    moves = np.einsum("sa,sat->st", policy, transition)
    result: Array = np.linalg.solve(np.eye(len(initial)) - discount * moves, initial)
    return result


# Task 3: one Newton step with a prior. Arguments: P, r, γ, τ, π₀, V.


def _newton(transition: Array, reward: Array, discount: float, temperature: float, prior: Array, value: Array) -> Array:
    """Take the step as V + (I − γP_π)⁻¹(TV − V), with the residual of the equation and not a policy's reward."""
    chosen = _greedy(_ahead(transition, reward, discount, value), temperature, prior)
    residual = _soft(transition, reward, discount, temperature, prior, value) - value
    return value + _accumulated(transition, discount, chosen, residual)


def _accumulated(transition: Array, discount: float, policy: Array, gain: Array) -> Array:
    system = np.eye(len(gain)) - discount * np.einsum("sa,sat->st", policy, transition)
    result: Array = np.linalg.solve(system, gain)
    return result


def _policy_step(
    transition: Array,
    reward: Array,
    discount: float,
    policy: Array,
    cost: Array,
) -> Array:
    """Return the value of a policy whose reward is r_π − cost."""
    return _accumulated(transition, discount, policy, (policy * reward).sum(axis=1) - cost)


def _divergence(policy: Array, prior: Array) -> Array:
    result: Array = rel_entr(policy, np.where(policy > 0, prior, 1.0)).sum(axis=1)
    return result


def _step_with(P: Array, r: Array, g: float, t: float, prior: Array, V: Array, sign: float) -> Array:
    """Take the step with the divergence in the policy's reward multiplied by `sign`."""
    chosen = _greedy(_ahead(P, r, g, V), t, prior)
    return _policy_step(P, r, g, chosen, -sign * t * _divergence(chosen, prior))


def _step_with_entropy(P: Array, r: Array, g: float, t: float, prior: Array, V: Array) -> Array:
    chosen = _greedy(_ahead(P, r, g, V), t, prior)
    return _policy_step(P, r, g, chosen, t * xlogy(chosen, chosen).sum(axis=1))


def _step_paid_twice(P: Array, r: Array, g: float, t: float, prior: Array, V: Array) -> Array:
    ahead = _ahead(P, r, g, V)
    chosen = _greedy(ahead, t, prior)
    return _policy_step(P, ahead, g, chosen, t * _divergence(chosen, prior))


def _step_backwards(P: Array, r: Array, g: float, t: float, prior: Array, V: Array) -> Array:
    chosen = _greedy(_ahead(P, r, g, V), t, prior)
    system = np.eye(len(V)) - g * np.einsum("sa,sat->ts", chosen, P)
    result: Array = np.linalg.solve(system, (chosen * r).sum(axis=1) - t * _divergence(chosen, prior))
    return result


def _step_of(P: Array, r: Array, g: float, t: float, prior: Array, chosen: Array) -> Array:
    return _policy_step(P, r, g, chosen, t * _divergence(chosen, prior))


def _draw_newton(rng: np.random.Generator) -> Iterator[Instance]:
    for n_states, n_actions, discount, temperature in ((5, 3, 0.9, 0.5), (7, 4, 0.95, 2.0)):
        mdp = garnet(rng, n_states, n_actions, discount)
        prior, value = random_policy(rng, n_states, n_actions), 2 * rng.normal(size=n_states)
        label = f"γ = {discount} and τ = {temperature}"
        yield Instance(label, (mdp.transition, mdp.reward, discount, temperature, prior, value))
    yield Instance("V = 0", (mdp.transition, mdp.reward, 0.95, 2.0, prior, np.zeros(7)))
    holes = _with_zeros(rng, prior)
    yield Instance("a prior with zeros", (mdp.transition, mdp.reward, 0.95, 2.0, holes, value))
    yield Instance("a small temperature", (mdp.transition, mdp.reward, 0.95, 1e-3, prior, value))
    # The forbidden action is the best by 2000 τ or more, so that a shift by the maximum over all actions underflows.
    best = np.eye(4)[_ahead(mdp.transition, mdp.reward, 0.95, value).argmax(axis=1)]
    allowed = prior * (1 - best)
    allowed /= allowed.sum(axis=1, keepdims=True)
    yield Instance(
        "a small temperature and a prior that forbids the best action",
        (mdp.transition, mdp.reward + 2 * best, 0.95, 1e-3, allowed, value),
    )


newton_step = Task(
    _newton,
    _draw_newton,
    (
        Mistake(
            "Your step pays the new policy its reward but does not charge it for leaving the prior.",
            lambda P, r, g, t, prior, V: _step_with(P, r, g, t, prior, V, 0.0),
        ),
        Mistake(
            "Your step rewards the new policy for leaving the prior: a sign is wrong.",
            lambda P, r, g, t, prior, V: _step_with(P, r, g, t, prior, V, 1.0),
        ),
        Mistake(
            "Your step charges for being predictable, as the lesson does, and not for leaving the prior.",
            lambda P, r, g, t, prior, V: _step_with_entropy(P, r, g, t, prior, V),
        ),
        Mistake(
            "Your step is a step of value iteration: it looks one step ahead and no further.",
            lambda P, r, g, t, prior, V: _soft(P, r, g, t, prior, V),
        ),
        Mistake(
            "Your new policy counts tomorrow's value in full.",
            lambda P, r, g, t, prior, V: _step_of(P, r, g, t, prior, _greedy(_ahead(P, r, 1.0, V), t, prior)),
        ),
        Mistake(
            "Your new policy looks at today's reward only.",
            lambda P, r, g, t, prior, V: _step_of(P, r, g, t, prior, _greedy(r, t, prior)),
        ),
        Mistake(
            "Your new policy does not know the prior.",
            lambda P, r, g, t, prior, V: _step_of(
                P, r, g, t, prior, _greedy(_ahead(P, r, g, V), t, uniform_policy(*prior.shape))
            ),
        ),
        Mistake(
            "Your new policy does not know the temperature.",
            lambda P, r, g, t, prior, V: _step_of(P, r, g, t, prior, _greedy(_ahead(P, r, g, V), 1.0, prior)),
        ),
        Mistake(
            "Your step evaluates the prior, not the policy that is greedy for V.",
            lambda P, r, g, t, prior, V: _step_of(P, r, g, t, prior, prior),
        ),
        Mistake(
            "Your step adds the correction to TV; Newton's method corrects V.",
            lambda P, r, g, t, prior, V: _newton(P, r, g, t, prior, V) - V + _soft(P, r, g, t, prior, V),
        ),
        Mistake(
            "Your step goes away from the solution: the correction has the wrong sign.",
            lambda P, r, g, t, prior, V: 2 * V - _newton(P, r, g, t, prior, V),
        ),
        Mistake(
            "Your charge for leaving the prior lacks the temperature, so it is no reward.",
            lambda P, r, g, t, prior, V: _step_with(P, r, g, t, prior, V, -1 / t),
        ),
        Mistake(
            "Your step pays the new policy Q_V, in which tomorrow is counted already, and not r.",
            lambda P, r, g, t, prior, V: _step_paid_twice(P, r, g, t, prior, V),
        ),
        Mistake(
            "Your values flow backwards: look at which index of P_π is the state one comes from.",
            lambda P, r, g, t, prior, V: _step_backwards(P, r, g, t, prior, V),
        ),
        Mistake(
            "Your values are too large by many orders, as if the linear system were singular (is γ in it?).",
            lambda P, r, g, t, prior, V: _step_of(P, r, 1.0, t, prior, _greedy(_ahead(P, r, g, V), t, prior)),
            lambda found, P, r, g, t, prior, V: np.abs(found).max() > 1e8,
        ),
    ),
    not_finite="Your new policy or its charge is NaN or infinite",
)


# Task 4: how many steps of mirror descent are enough. Arguments: η, τ, γ, C, ε.


def _count(step: float, temperature: float, discount: float, constant: float, accuracy: float) -> int:
    """Count the steps one by one."""
    bound, steps = constant, 0
    while bound > accuracy:
        bound *= 1 - step * temperature * (1 - discount)
        steps += 1
    return steps


def _ceil_log(factor: float, constant: float, accuracy: float) -> float:
    return float(np.ceil(np.log(accuracy / constant) / np.log(factor)))


def _logarithms(step: float, temperature: float, discount: float, constant: float, accuracy: float) -> float:
    return float(np.log(accuracy / constant) / np.log(1 - step * temperature * (1 - discount)))


def _draw_count(rng: np.random.Generator) -> Iterator[Instance]:
    for temperature, share, discount in ((0.1, 0.3, 0.9), (2.0, 0.5, 0.6), (0.5, 0.05, 0.5)):
        constant, accuracy = _between(rng, share, discount)
        label = f"τ = {temperature} and ητ = {share}"
        yield Instance(label, (share / temperature, temperature, discount, constant, accuracy))
    constant, accuracy = _between(rng, 0.99, 0.95)
    yield Instance("a step just below 1/τ", (3.96, 0.25, 0.95, constant, accuracy))
    # Both halve the bound exactly, so that the number is on the edge of an integer and rounding does not matter.
    yield Instance("a bound that meets ε exactly", (0.5, 2.0, 0.5, 4.0, 1.0))
    yield Instance("another bound that meets ε exactly", (0.5, 2.0, 0.5, 16.0, 1.0))


def _between(rng: np.random.Generator, share: float, discount: float) -> tuple[float, float]:
    """Draw C and ε so that the number of steps is not on the edge of an integer, where rounding would decide."""
    constant = float(rng.uniform(2.0, 8.0))
    steps = int(rng.integers(25, 60)) + float(rng.uniform(0.2, 0.8))
    return constant, constant * (1 - share * (1 - discount)) ** steps


steps_needed = Task(
    _count,
    _draw_count,
    (
        Mistake(
            "Your rate has the unit of η, 1/reward, and so is no pure number.",
            lambda step, t, g, C, eps: _ceil_log(1 - step * (1 - g), C, eps),
        ),
        Mistake(
            "Your rate is that of value iteration, whatever the step.",
            lambda step, t, g, C, eps: _ceil_log(g, C, eps),
        ),
        Mistake(
            "Your rate does not know the discount.",
            lambda step, t, g, C, eps: _ceil_log(1 - step * t, C, eps),
        ),
        Mistake(
            "Your number is one step short: at it the bound is still above ε.",
            lambda step, t, g, C, eps: _count(step, t, g, C, eps) - 1,
        ),
        Mistake(
            "Your number is one step short: at it the bound is still above ε.",
            lambda step, t, g, C, eps: np.floor(_logarithms(step, t, g, C, eps)),
        ),
        Mistake(
            "Your number is one too many where the bound meets ε exactly.",
            lambda step, t, g, C, eps: np.floor(_logarithms(step, t, g, C, eps)) + 1,
        ),
        Mistake(
            "Your number is one step too many: the bound is below ε before.",
            lambda step, t, g, C, eps: _count(step, t, g, C, eps) + 1,
        ),
        Mistake(
            "Your number would be enough, but a smaller one is: the logarithm of the rate is more than its first term.",
            lambda step, t, g, C, eps: np.ceil(np.log(C / eps) / (step * t * (1 - g))),
        ),
        Mistake(
            "Your number of steps is no whole number.",
            lambda step, t, g, C, eps: _logarithms(step, t, g, C, eps),
        ),
        Mistake(
            "Your number is negative: a logarithm has the wrong sign.",
            lambda step, t, g, C, eps: np.ceil(-_logarithms(step, t, g, C, eps)),
        ),
        Mistake(
            "Your number does not know C, where the bound starts.",
            lambda step, t, g, C, eps: np.ceil(_logarithms(step, t, g, 1.0, eps)),
        ),
    ),
)
