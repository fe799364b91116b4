"""What is estimated from roll-outs: sums, scores, action values."""

import numpy as np

from ..models import MDP
from ..typing import Array
from .segments import Segments, at_least, roll_out


def segment_sum(table: Array, segments: Segments, discount: float = 1.0) -> Array:
    """Return Σ_t discountᵗ table(s_t, a_t), t counted from each segment's start.

    Parameters
    ----------
    table : array (S, A) or (S, A, d)
        Rewards, or features.
    segments : Segments
        n of them. With a random end of mean 1/(1−γ) the discount is in the lengths already: leave it at 1.
    discount : float

    Returns
    -------
    array (n,) or (n, d)
    """
    powers = np.where(segments.alive, discount ** np.arange(segments.states.shape[1]), 0.0)
    result: Array = np.einsum("nt,nt...->n...", powers, table[segments.states, segments.actions])
    return result


def visits(segments: Segments, n_states: int, n_actions: int) -> Array:
    """Return how often each segment was in s and did a, shape (n, S, A).

    Divided by y(a|s) these are the scores; their mean over roll-outs with a random end estimates d^y(s) y(a|s).
    """
    cells = (np.arange(len(segments))[:, None] * n_states + segments.states) * n_actions + segments.actions
    counts = np.bincount(cells[segments.alive], minlength=len(segments) * n_states * n_actions)
    return counts.reshape(-1, n_states, n_actions).astype(np.float64)


def tally(segments: Segments, amounts: Array, n_states: int, n_actions: int) -> Array:
    """Return the sum of the amounts (n, T) over the steps that were in s and did a, shape (S, A)."""
    cells = segments.states * n_actions + segments.actions
    total = np.bincount(cells[segments.alive], amounts[segments.alive], n_states * n_actions)
    return np.asarray(total, dtype=np.float64).reshape(n_states, n_actions)


def score_gradient(policy: Array, segments: Segments, weights: Array) -> Array:
    """Return Σ_i weights_i Σ_t ∂ log y(a_t|s_t)/∂y, shape (S, A).

    Parameters
    ----------
    policy : array (S, A)
        y, the policy that the segments were drawn from (or are reweighted to).
    segments : Segments
        n of them.
    weights : array (n,)
        G_i/n for an estimate of ∂E G/∂y; `leave_one_out(G)/n` for the same with a baseline.

    Returns
    -------
    array (S, A)
    """
    return tally(segments, weights[:, None] / policy[segments.states, segments.actions], *policy.shape)


def leave_one_out(values: Array) -> Array:
    """Return each value less the mean of the others, a baseline that keeps estimates unbiased; one value stays."""
    n = len(values)
    return values - (values.sum() - values) / (n - 1) if n > 1 else values


def regularised_reward(mdp: MDP, policy: Array) -> Array:
    """Return r(s,a) − τh(y(s)), shape (S, A): what a step pays, its mean under y being r_y − τh(y)."""
    result: Array = mdp.reward - mdp.temperature * mdp.regularizer.value(policy)[:, None]
    return result


def estimate_action_value(mdp: MDP, policy: Array, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Estimate Q^y without bias, by n roll-outs with a random end from every state and action.

    Parameters
    ----------
    mdp : MDP
    policy : array (S, A)
    n : int
        At least 2.
    rng : numpy.random.Generator

    Returns
    -------
    array (S, A), array (S, A)
        The mean of r(s_0, a_0) + Σ_{1 ≤ t ≤ H} [r(s_t, a_t) − τh(y(s_t))], and its standard error.

    Raises
    ------
    ValueError
        If the policy is none, or n is below 2.
    """
    at_least("n", n, 2)
    states, actions = np.indices(mdp.reward.shape).reshape(2, -1).repeat(n, axis=1)
    segments = roll_out(mdp, policy, len(states), rng, start=states, first_action=actions)
    paid = regularised_reward(mdp, policy)
    sums = segment_sum(paid, segments) + (mdp.reward - paid)[states, actions]  # the first action is free
    sums = sums.reshape(*mdp.reward.shape, n)
    return sums.mean(axis=2), sums.std(axis=2, ddof=1) / np.sqrt(n)


def td_update(mdp: MDP, policy: Array, action_value: Array, segments: Segments, step: float) -> Array:
    """Move a table of action values along segments, by expected SARSA: the critic of an actor and a critic.

    For t = 0, 1, … in turn, and every (s, a) that some segments have at t, Q(s, a) moves by `step` times the mean of

        r(s, a) + γ [Σ_b y(b|s′) Q(s′, b) − τh(y(s′))] − Q(s, a)

    over them. With steps that fall, repeated updates find Q^y (van Seijen, van Hasselt, Whiteson and Wiering, *A
    theoretical and empirical analysis of Expected Sarsa*, 2009); stopped before they are biased towards where they
    started.

    Parameters
    ----------
    mdp : MDP
        Its kernel is not looked at.
    policy : array (S, A)
    action_value : array (S, A)
        The table so far; it is not changed.
    segments : Segments
        Of two states or more each, drawn from any policy.
    step : float
        From 0 to 1.

    Returns
    -------
    array (S, A)
    """
    value, cost = np.array(action_value, dtype=np.float64), mdp.reward - regularised_reward(mdp, policy)
    for t in range(segments.states.shape[1] - 1):
        going = segments.alive[:, t + 1]
        here, after = segments[going, t : t + 1], segments.states[going, t + 1 : t + 2]
        ahead = (policy * (value - cost)).sum(axis=1)[after]
        error = (mdp.reward - value)[here.states, here.actions] + mdp.discount * ahead
        count = tally(here, np.ones_like(error), *value.shape)
        value += step * tally(here, error, *value.shape) / np.maximum(count, 1.0)
    return value
