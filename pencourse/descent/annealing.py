"""Stackelberg games at τ = 0: anneal the temperature, start several times, and switch between what the starts found.

At τ = 0 the leader's optimum lies on ties of the follower (lesson 09), where nothing is smooth. Three steps lead near:

1. `anneal`: partial minimisation at one temperature after the other, each started where the last one ended.
2. Several starts. In each state the follower's intended action is settled early, more or less by chance, so each start
   is good in some states and poor in others.
3. `switch_policies`: take for each state the row of that start which serves the leader best there. If the kernel does
   not depend on the follower this is policy improvement over the starts' rows, and cannot lose; otherwise a switch is
   kept only if the true return rises.

Then again with a share of the states drawn anew around the best policy so far.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import Any

import numpy as np

from ..cases.stackelberg import Response, best_response, tied_actions
from ..models import StackelbergGame
from ..simplex import uniform_policy
from ..typing import Array
from ..validation import checked_count, checked_number
from .pbrl import pbrl_partial

COOLING = tuple(np.geomspace(0.1, 0.001, 6))  # in units of the span of the follower's reward


@dataclass(frozen=True, eq=False)
class Commitment:
    """The best leader's policy that `multistart` found, at the follower's true best response for τ = 0.

    Attributes
    ----------
    upper : array (S, L)
        The leader's policy.
    response : Response
        The follower's best response to it, ties broken for the leader.
    history : pandas.DataFrame
        A row a start: `drawn`, the share of states that it drew anew (1 in the first round, but for the
        uniform start), `start_return`, the
        leader's return where the start ended, `leader_return`, the best so far, after switching, and `soft_solves`, so
        far.
    """

    upper: Array
    response: Response
    history: Any

    @property
    def leader_return(self) -> float:
        """The leader's return."""
        return self.response.leader_return


def anneal(
    game: StackelbergGame,
    start: Array,
    *,
    temperatures: Sequence[float] | Array = COOLING,
    iterations: int = 40,
    penalty_weight: float = 100.0,
) -> Array:
    """Run `pbrl_partial` at one temperature after the other, each from where the last one ended.

    Near a tie the slope of φ is of order 1/τ and its curvature 1/τ², so no fixed step suits all states. Here each row
    moves along its own gradient, centred and divided by its largest entry, by a length that falls geometrically from
    0.3 to 0.003: what comes to a tie stays within that length of it. Two soft solves a step.

    Parameters
    ----------
    game : StackelbergGame
        Its own temperature is ignored.
    start : array (S, L)
        The leader's policy to start from.
    temperatures : sequence of float
        In units of the span of the follower's reward, τ > 0.
    iterations : int
        Steps at each temperature.
    penalty_weight : float
        λ.

    Returns
    -------
    array (S, L)

    Raises
    ------
    ValueError, ConvergenceError
        As in `pbrl_partial`.
    """
    checked_count("iterations", iterations, 1)
    checked_count("the number of temperatures", len(temperatures), 1)
    span = float(np.ptp(game.follower_reward)) or 1.0
    steps = np.geomspace(0.3, 0.003, len(temperatures) * iterations).reshape(len(temperatures), iterations)
    for temperature, lengths in zip(temperatures, steps, strict=True):
        cooler = replace(game, temperature=float(temperature) * span)
        rule = _rowwise(chain(lengths, repeat(lengths[-1])))
        start = pbrl_partial(cooler, penalty_weight=penalty_weight, iterations=iterations, start=start, step=rule).upper
    return start


def _rowwise(lengths: Iterator[float]) -> Callable[[Array], Array]:
    """Return the rule that moves each row along its own centred gradient, its largest entry by the next length."""

    def push(gradient: Array) -> Array:
        slope = gradient - gradient.mean(axis=1, keepdims=True)
        result: Array = next(lengths) * slope / np.maximum(np.abs(slope).max(axis=1, keepdims=True), 1e-300)
        return result

    return push


def multistart(
    game: StackelbergGame,
    *,
    rng: np.random.Generator,
    starts: int = 16,
    rounds: int = 8,
    share: float = 0.5,
    temperatures: Sequence[float] | Array = COOLING,
    iterations: int = 40,
    penalty_weight: float = 100.0,
    progress: bool = False,
) -> Commitment:
    """Search for the leader's optimal commitment at τ = 0: anneal from several starts, switch, draw a share anew.

    No certificate: what it finds is feasible; its distance from the optimum is told by `exact.stackelberg`, where that
    exists.

    Parameters
    ----------
    game : StackelbergGame
        Its own temperature is ignored.
    rng : numpy.random.Generator
        Draws the starts: rows from a Dirichlet distribution with parameter 0.3, near the corners.
    starts : int
        In the first round, at least 1; the first of them is uniform.
    rounds : int
        Further starts, one a round, each from the best policy so far with a share of its rows drawn anew.
    share : float
        That share, 0 < share ≤ 1.
    temperatures, iterations, penalty_weight
        As in `anneal`.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Commitment

    Raises
    ------
    ValueError
        If starts, rounds or share is out of its range.
    ConvergenceError
        As in `pbrl_partial`.
    """
    import pandas as pd  # slow to load
    from tqdm.auto import tqdm

    checked_number("share", share, float(np.nextafter(0.0, 1.0)), 1.0, allowed="a number above 0, at most 1")
    starts, rounds = checked_count("starts", starts, 1), checked_count("rounds", rounds, 0)
    hard, cost = replace(game, temperature=0.0), 2 * len(temperatures) * (iterations + 1)
    policy, candidates, rows = uniform_policy(game.n_states, game.n_leader), [], []
    for k in tqdm(range(starts + rounds), disable=not progress):
        drawn = share if k >= starts else float(k > 0)
        fresh = rng.dirichlet(np.full(game.n_leader, 0.3), size=game.n_states)
        begin = np.where(rng.random((game.n_states, 1)) < drawn, fresh, policy)
        end = anneal(game, begin, temperatures=temperatures, iterations=iterations, penalty_weight=penalty_weight)
        candidates.append(end)
        policy, response = switch_policies(hard, [policy, *candidates])
        rows.append([drawn, best_response(hard, end).leader_return, response.leader_return, (k + 1) * cost])
    history = pd.DataFrame(rows, columns=["drawn", "start_return", "leader_return", "soft_solves"])
    return Commitment(policy, response, history.rename_axis("start"))


def switch_policies(game: StackelbergGame, candidates: Sequence[Array]) -> tuple[Array, Response]:
    """Combine leader's policies, state by state, into one whose return at the follower's true answer is no lower.

    With V_l and V_f the values of the best policy so far, row x_s of a candidate is worth to the leader

        max {Q_l(s, x_s, b) : b best for Q_f(s, x_s, ·)},    Q_·(s, x_s, b) = Σ_a x(a|s) [r_· + γ P V_·](s, a, b).

    Each state takes its best row, if that is better than its own. Where P(s′|s,a) does not depend on the follower, its
    answer in a state depends on the row there alone, so this is policy iteration over the rows on offer and ends, if
    ρ > 0, at their best combination. In general V_f moves too: if the return from ρ has not risen, only the half of the
    states with the larger gains switch, then a quarter, and so on.

    Parameters
    ----------
    game : StackelbergGame
        With τ = 0.
    candidates : sequence of array (S, L)

    Returns
    -------
    policy, response
        The leader's policy (S, L) and the follower's best response to it, ties broken for the leader.

    Raises
    ------
    ValueError
        If τ > 0, there is no candidate, or one is no policy.

    References
    ----------
    Chang, Givan and Chong, *Parallel rollout for online solution of partially observable Markov decision processes*
    (2004): policy switching.
    """
    if game.temperature:
        raise ValueError(f"temperature is {game.temperature!r}; allowed is 0: at it the follower's answer is read.")
    if not len(candidates):
        raise ValueError("candidates is empty; allowed is one leader's policy or more.")
    rows = np.array(candidates, dtype=float)
    found = [best_response(game, x) for x in rows]
    first = max(range(len(rows)), key=lambda k: found[k].leader_return)
    policy, response = rows[first], found[first]
    improved = True
    while improved:
        gains, choice = _gains(game, policy, response, rows)
        order = np.argsort(-gains, kind="stable")[: int((gains > 1e-12 * (1 + np.abs(gains).max())).sum())]
        improved = False
        while len(order) and not improved:
            switched = policy.copy()
            switched[order] = rows[choice[order], order]
            answer = best_response(game, switched)
            improved = answer.leader_return > response.leader_return + 1e-12 * (1 + abs(response.leader_return))
            if improved:
                policy, response = switched, answer
            order = order[: len(order) // 2]
    return policy, response


def _gains(game: StackelbergGame, policy: Array, response: Response, rows: Array) -> tuple[Array, Array]:
    """Return by how much the best row of each state beats its own row, (S,), and whose row that is."""
    ahead = game.transition @ np.stack([response.leader_value, response.follower_value], axis=1)
    leader = game.leader_reward + game.discount * ahead[..., 0]
    follower = game.follower_reward + game.discount * ahead[..., 1]
    everyone = np.concatenate([rows, policy[None]])
    wanted = np.einsum("ksa,sab->ksb", everyone, follower)
    tied = tied_actions(game, wanted)
    worth = np.where(tied, np.einsum("ksa,sab->ksb", everyone, leader), -np.inf).max(axis=2)
    return worth[:-1].max(axis=0) - worth[-1], worth[:-1].argmax(axis=0)
