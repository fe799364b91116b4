"""Roll-outs, many at once, and the enumeration of short ones."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..models import MDP
from ..simplex import checked_policy
from ..typing import Array
from ..validation import checked_array, checked_distributions, refuse_where

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
        return Segments(
            np.concatenate([self.states, other.states], axis),
            np.concatenate([self.actions, other.actions], axis),
            np.concatenate([self.alive, other.alive], axis),
        )


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
    at_least("n", n, 1)
    if length is not None:
        at_least("length", length, 1)
    act, move = Draw(checked_policy(policy, mdp.n_states, mdp.n_actions)), Draw(mdp.transition)
    horizon = np.full(n, length) if length is not None else rng.geometric(1.0 - mdp.discount, n)
    if start is None:
        state = Draw(mdp.initial)(np.zeros(n, dtype=np.int64), rng)
    else:
        state = _told("start", start, n, mdp.n_states)
    first = None if first_action is None else _told("first_action", first_action, n, mdp.n_actions)
    states, actions = np.empty((2, int(horizon.max()), n), dtype=np.int64)
    for t in range(len(states)):
        action = act(state, rng) if t > 0 or first is None else first
        states[t], actions[t] = state, action
        state = move(state * mdp.n_actions + action, rng)
    return Segments(states.T, actions.T, np.arange(len(states)) < horizon[:, None])


def at_least(name: str, number: int, least: int) -> None:
    """Raise ValueError for a number that is too small."""
    if number < least:
        raise ValueError(f"{name} is {number!r}; allowed is an integer, at least {least}.")


def _told(name: str, values: ArrayLike, n: int, below: int) -> Integers:
    """Return indices that the caller gave, (n,)."""
    array = checked_array(name, values, (n,))
    refuse_where(name, array, (array < 0) | (array >= below) | (array % 1 != 0), f"an integer from 0 to {below - 1}")
    return array.astype(np.int64)


def enumerate_segments(
    mdp: MDP, policy: Array, length: int, *, start: Array | None = None, most: int = MOST_SEGMENTS
) -> tuple[Segments, Array]:
    """Return every segment of a length that has positive probability, and the probabilities.

    Parameters
    ----------
    mdp : MDP
    policy : array (S, A)
    length : int
        T ≥ 1.
    start : array (S,), optional
        The distribution of the first state; ρ unless given.
    most : int
        Segments at most.

    Returns
    -------
    Segments
        n of them, in the order of s_0, a_0, s_1, …
    array (n,)
        start(s_0) Π_t y(a_t|s_t) Π_t P(s_{t+1}|s_t, a_t); it sums to 1.

    Raises
    ------
    ValueError
        If there are more than `most`; the message says how many. If length is below 1, or a distribution is none.
    """
    at_least("length", length, 1)
    policy = checked_policy(policy, mdp.n_states, mdp.n_actions)
    start = mdp.initial if start is None else checked_distributions("start", start, (mdp.n_states,))
    ways = (policy > 0).sum(axis=1)  # segments of length 1 from each state, then 2, …; exact, so of Python's integers
    ways = ways.astype(object)
    for _ in range(length - 1):
        ways = ((policy > 0) * ((mdp.transition > 0) @ ways)).sum(axis=1)
    if (n := int(ways[start > 0].sum())) > most:
        raise ValueError(
            f"length is {length}, which makes {n} segments; allowed are lengths that make {most} at most, or sampling."
        )
    state = np.flatnonzero(start)
    path, probability = np.empty((len(state), 0), dtype=np.int64), start[state]
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
