"""Stackelberg Markov games as bilevel problems: x is the leader's policy, y the follower's, f = −V_leader.

The leader's policy averages rewards and kernel,

    r_x(s,b) = Σ_a x(a|s) r(s,a,b),   P_x(s′|s,b) = Σ_a x(a|s) P(s′|s,a,b),

so a linear form on the follower's model, Σ m(s,b) [dr + γ dP v], is in x

    Σ_{s,a} dx(a|s) Σ_b m(s,b) [r(s,a,b) + γ Σ_{s′} P(s′|s,a,b) v(s′)].
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..bilevel import Objective, Term, minus_return
from ..evaluation import Evaluation, evaluate
from ..models import MDP, StackelbergGame, averaged, follower_mdp
from ..planning import solve
from ..simplex import project, uniform_policy
from ..typing import Array
from ..validation import checked_number


class StackelbergProblem:
    """A Stackelberg Markov game as a `BilevelProblem`; x (S, L) is the leader's policy. Made by `problem`."""

    def __init__(self, game: StackelbergGame) -> None:
        self.game = game
        self.initial_upper = uniform_policy(game.n_states, game.n_leader)

    def lower_model(self, x: Array) -> MDP:
        """The follower's MDP under the leader's policy x."""
        return follower_mdp(self.game, x)

    def upper_reward(self, x: Array) -> Array:
        """The leader's reward for each action of the follower, shape (S, F)."""
        return averaged(self.game.leader_reward, x)

    def upper_objective(self, x: Array, at: Evaluation, rng: np.random.Generator | None = None) -> Objective:
        """f = −V_leader(ρ)."""
        return minus_return(at, self.upper_reward(x))

    def pull_back(self, x: Array, terms: Sequence[Term]) -> Array:
        """The derivative in x, shape (S, L), of a sum of terms; a pass over the kernel for each value."""
        game = self.game
        rewards = {"lower": game.follower_reward, "upper": game.leader_reward}
        kernel = game.transition.reshape(-1, game.n_states)
        result = np.zeros_like(x)
        for term in terms:  # of few columns, a product of matrices takes BLAS longer than one vector after the other
            gains = rewards[term.channel] + game.discount * (kernel @ term.next_value).reshape(rewards["lower"].shape)
            result += np.matmul(gains, term.mass[:, :, None])[:, :, 0]
        return result

    def project(self, x: Array) -> Array:
        """Each row to the nearest distribution."""
        return project(x)


def problem(game: StackelbergGame) -> StackelbergProblem:
    """State a Stackelberg Markov game as a bilevel problem.

    Parameters
    ----------
    game : StackelbergGame

    Returns
    -------
    StackelbergProblem
        A `BilevelProblem` whose x has shape (S, L).
    """
    return StackelbergProblem(game)


def leader_return(game: StackelbergGame, leader_policy: Array, follower_policy: Array) -> float:
    """Return the leader's expected discounted return V_l(ρ) for a pair of policies (S, L) and (S, F)."""
    at = evaluate(follower_mdp(game, leader_policy), follower_policy)
    return float(game.initial @ at.side_value(averaged(game.leader_reward, np.asarray(leader_policy, dtype=float))))


@dataclass(frozen=True, eq=False)
class Response:
    """The follower's best response to a leader's policy, and what it brings both.

    Attributes
    ----------
    policy : array (S, F)
        At τ = 0 deterministic.
    leader_value, follower_value : array (S,)
        Of the pair of policies; the follower's includes its regulariser.
    leader_return : float
        ρᵀ `leader_value`.
    tied : array (S, F) of bool
        Which actions are best for the follower, up to the tolerance; all of them at τ > 0, where it has one answer.
    """

    policy: Array
    leader_value: Array
    follower_value: Array
    leader_return: float
    tied: Array


def tied_actions(game: StackelbergGame, action_value: Array, tolerance: float = 1e-9) -> Array:
    """Return which of the follower's actions (last axis) are best, up to the tolerance in units of max|r_f|."""
    unit = float(np.abs(game.follower_reward).max()) or 1.0  # not the average's, which may cancel
    result: Array = action_value >= action_value.max(axis=-1, keepdims=True) - tolerance * unit
    return result


def best_response(
    game: StackelbergGame, leader_policy: Array, *, ties: str = "leader", tolerance: float = 1e-9
) -> Response:
    """Return the follower's best response to a leader's policy, at any τ ≥ 0.

    At τ = 0 several policies may be best: those that play in each state only actions within the tolerance of V*(s).
    Among them the leader's return is maximised (or minimised), one more MDP, in which an action that is not tied is
    replaced by one that is (lesson 09).

    Parameters
    ----------
    game : StackelbergGame
    leader_policy : array (S, L)
        x.
    ties : str
        "leader": broken in the leader's favour, as in the optimistic problem; "against": in its disfavour.
    tolerance : float
        On V*(s) − Q*(s,b), in units of max|r_f|.

    Returns
    -------
    Response

    Raises
    ------
    ValueError
        If the leader's policy is none, ties is neither of the two, or the tolerance is out of its range.
    ConvergenceError
        If the follower's or the tie-breaking problem is not solved.
    """
    if ties not in ("leader", "against"):
        raise ValueError(f"ties is {ties!r}; allowed is 'leader' or 'against'.")
    tolerance = checked_number("tolerance", tolerance, 0.0, 1.0, allowed="a number from 0 to 1")
    model = follower_mdp(game, leader_policy)
    reward = averaged(game.leader_reward, np.asarray(leader_policy, dtype=float))
    best = Evaluation(model, solve(model).policy)
    if model.temperature > 0 and model.regularizer.name != "none":
        value, tied = best.side_value(reward), np.ones_like(reward, dtype=bool)
        return Response(best.policy, value, best.value, float(game.initial @ value), tied)
    action_value = best.action_value
    tied = tied_actions(game, action_value, tolerance)
    stand_in = np.where(tied, np.arange(model.n_actions), tied.argmax(axis=1)[:, None])
    sign = 1.0 if ties == "leader" else -1.0
    choice = MDP(
        np.take_along_axis(model.transition, stand_in[:, :, None], axis=1),
        sign * np.take_along_axis(reward, stand_in, axis=1),
        game.discount,
        game.initial,
    )
    actions = np.take_along_axis(stand_in, solve(choice).policy.argmax(axis=1)[:, None], axis=1)[:, 0]
    answer = Evaluation(model, np.eye(model.n_actions)[actions])
    value = answer.side_value(reward)
    return Response(answer.policy, value, answer.value, float(game.initial @ value), tied)
