"""Roll-outs, many at once, and what is estimated from them (lessons 10 and 11).

A roll-out draws s_0 ~ ρ, a_t ~ y(·|s_t), s_{t+1} ~ P(·|s_t, a_t). It ends after a given number of steps, or after each
step with probability 1 − γ. The random end H makes discounted sums unbiased without weights,

    E Σ_{t ≤ H} g(s_t, a_t) = Σ_t Pr(H ≥ t) E g(s_t, a_t) = Σ_t γᵗ E g(s_t, a_t),

so g = r − τh(y) estimates V^y(ρ), and g = 1[s_t = s, a_t = a] the occupancy d^y(s) y(a|s). Derivatives in the policy
come from the score function: a segment has probability (factors of the world) × Π_t y(a_t|s_t), so

    ∂/∂y(a|s) E G = E [G Σ_t 1[s_t = s, a_t = a] / y(a|s)].

A number that does not depend on the segment may be taken from G (a baseline): it adds to the derivative a constant in
each row, which means nothing on the simplex, and can take away most of the variance (Williams, *Simple statistical
gradient-following algorithms for connectionist reinforcement learning*, 1992).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .models import MDP
from .simplex import checked_policy
from .typing import Array
from .validation import checked_array, checked_count, refuse_where

Integers = NDArray[np.int64]
MOST_SEGMENTS = 2000  # their pairs are four million: a few tenths of a second for one look at all of them


@dataclass(frozen=True, eq=False)
class Segments:
    """Pieces of roll-outs: what was seen and done.

    Attributes
    ----------
    states, actions : integer array (n, T)
    alive : boolean array (n, T)
        False after a roll-out's horizon, where states and actions mean nothing.
    """

    states: Integers
    actions: Integers
    alive: NDArray[np.bool_]

    def __len__(self) -> int:
        """n."""
        return len(self.states)

    def __getitem__(self, which: Any) -> "Segments":
        """Return some of them, or of their steps; indexed like an array of shape (n, T)."""
        return Segments(self.states[which], self.actions[which], self.alive[which])

    def joined(self, other: "Segments", axis: int = 0) -> "Segments":
        """Return these and others (axis 0), or each of these with one of the others behind it (axis 1)."""
        fields: Any = zip(vars(self).values(), vars(other).values(), strict=True)
        return Segments(*(np.concatenate(pair, axis) for pair in fields))


class Draw:
    """Draw from rows of distributions, many at once, by inverting their distribution functions."""

    def __init__(self, rows: Array) -> None:
        rows = rows.reshape(-1, rows.shape[-1])
        self.width = rows.shape[1]
        total = rows.cumsum(axis=1)
        total /= total[:, -1:]  # so that the last possible outcome ends at 1 exactly
        self.steps = (total + np.arange(len(rows))[:, None]).ravel()  # row k climbs from k to k + 1

    def __call__(self, row: Integers, rng: np.random.Generator) -> Integers:
        """Return one outcome for each row that is named."""
        height = np.minimum(row + rng.random(len(row)), np.nextafter(row + 1.0, 0.0))
        found: Integers = self.steps.searchsorted(height, side="right") - row * self.width
        return found


def roll_out(
    mdp: MDP,
    policy: Array,
    n: int,
    rng: np.random.Generator,
    *,
    length: int | None = None,
    start: ArrayLike | None = None,
    first_action: ArrayLike | None = None,
) -> Segments:
    """Draw n roll-outs, all at once.

    Parameters
    ----------
    mdp : MDP
        Its kernel and, unless `start` is given, its ρ are drawn from; its reward is not looked at.
    policy : array (S, A)
    n : int
    rng : numpy.random.Generator
    length : int, optional
        T ≥ 1. Unless given, each roll-out goes on after each step with probability γ.
    start, first_action : array_like of integers (n,), optional
        Where each begins, and what it does there.

    Returns
    -------
    Segments
        Of shape (n, T), T the longest.

    Raises
    ------
    ValueError
        If n or length is below 1, the policy is none, or a start or first action is no index.
    """
    checked_count("n", n, 1)
    checked_count("length", 1 if length is None else length, 1)
    act, move = Draw(checked_policy(policy, mdp.n_states, mdp.n_actions)), Draw(mdp.transition)
    horizon = np.full(n, length) if length is not None else rng.geometric(1.0 - mdp.discount, n)
    begin = Draw(mdp.initial)(np.zeros(n, dtype=np.int64), rng) if start is None else start
    state = _indices("start", begin, n, mdp.n_states)
    states, actions = np.empty((2, int(horizon.max()), n), dtype=np.int64)
    for t in range(len(states)):
        given = first_action is not None and t == 0
        action = _indices("first_action", first_action, n, mdp.n_actions) if given else act(state, rng)
        states[t], actions[t] = state, action
        state = move(state * mdp.n_actions + action, rng)
    return Segments(states.T, actions.T, np.arange(len(states)) < horizon[:, None])


def _indices(name: str, values: Any, n: int, below: int) -> Integers:
    """Return the caller's indices, shape (n,)."""
    array = checked_array(name, values, (n,))
    refuse_where(name, array, (array < 0) | (array >= below) | (array % 1 != 0), f"an integer from 0 to {below - 1}")
    return array.astype(np.int64)


def enumerate_segments(mdp: MDP, policy: Array, length: int, *, most: int = MOST_SEGMENTS) -> tuple[Segments, Array]:
    """Return every segment of a length T ≥ 1 that has positive probability, and the probabilities.

    Parameters
    ----------
    mdp : MDP
    policy : array (S, A)
    length, most : int
        T, and how many segments there may be.

    Returns
    -------
    Segments
        n of them, in the order of s_0, a_0, s_1, …
    array (n,)
        ρ(s_0) Π_t y(a_t|s_t) Π_t P(s_{t+1}|s_t, a_t); it sums to 1.

    Raises
    ------
    ValueError
        If there are more than `most`; the message says how many. If length is below 1, or the policy is none.
    """
    checked_count("length", length, 1)
    policy = checked_policy(policy, mdp.n_states, mdp.n_actions)
    ways = (policy > 0).sum(axis=1).astype(object)  # from each state, of length 1, 2, …; Python's integers are exact
    for _ in range(length - 1):
        ways = ((policy > 0) * ((mdp.transition > 0) @ ways)).sum(axis=1)
    if (n := int(ways[mdp.initial > 0].sum())) > most:
        raise ValueError(
            f"length is {length}, which makes {n} segments; allowed are lengths that make {most} at most, or sampling."
        )
    state = np.flatnonzero(mdp.initial)
    path, probability = np.empty((len(state), 0), dtype=np.int64), mdp.initial[state]
    for t in range(length):
        if t > 0:
            old, state = np.nonzero(mdp.transition[path[:, -2], path[:, -1]])
            probability = probability[old] * mdp.transition[path[old, -2], path[old, -1], state]
            path = path[old]
        old, action = np.nonzero(policy[state])
        probability = probability[old] * policy[state[old], action]
        path = np.column_stack([path[old], state[old], action])
    states, actions = path[:, 0::2], path[:, 1::2]
    return Segments(states, actions, np.ones(states.shape, dtype=bool)), probability


def segment_sum(table: Array, segments: Segments, discount: float = 1.0) -> Array:
    """Return Σ_t discountᵗ table(s_t, a_t), t from each segment's start; with a random end γ is in the lengths already.

    The table is a reward (S, A) or features (S, A, d), the result has shape (n,) or (n, d).
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

    With segments drawn from y and weights G_i/n, or `leave_one_out(G)/n`, it estimates ∂E G/∂y.
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
    checked_count("n", n, 2)
    states, actions = np.indices(mdp.reward.shape).reshape(2, -1).repeat(n, axis=1)
    segments = roll_out(mdp, policy, len(states), rng, start=states, first_action=actions)
    paid = regularised_reward(mdp, policy)
    sums = segment_sum(paid, segments) + (mdp.reward - paid)[states, actions]  # the first action is free
    sums = sums.reshape(*mdp.reward.shape, n)
    return sums.mean(axis=2), sums.std(axis=2, ddof=1) / np.sqrt(n)


def td_update(mdp: MDP, policy: Array, action_value: Array, segments: Segments, step: float) -> Array:
    """Move a table of action values along segments, by expected SARSA: the critic of an actor and a critic.

    For t = 0, 1, … in turn Q(s, a) moves by `step` times the mean of

        r(s, a) + γ [Σ_b y(b|s′) Q(s′, b) − τh(y(s′))] − Q(s, a)

    over the segments that are in s and do a at t. With steps that fall, repeated updates find Q^y (van Seijen, van
    Hasselt, Whiteson and Wiering, *A theoretical and empirical analysis of Expected Sarsa*, 2009); stopped early they
    are biased towards where they started.

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
