"""Stackelberg Markov games as bilevel problems: x is the leader's policy, y the follower's, f = −V_leader.

The leader's policy averages rewards and kernel,

    r_x(s,b) = Σ_a x(a|s) r(s,a,b),   P_x(s′|s,b) = Σ_a x(a|s) P(s′|s,a,b),

so a linear form on the follower's model, Σ m(s,b) [dr + γ dP v], is in x

    Σ_{s,a} dx(a|s) Σ_b m(s,b) [r(s,a,b) + γ Σ_{s′} P(s′|s,a,b) v(s′)].
"""

from collections.abc import Sequence

import numpy as np

from ..bilevel import Objective, Term, minus_return
from ..evaluation import Evaluation, evaluate
from ..models import MDP, StackelbergGame, averaged, follower_mdp
from ..simplex import project, uniform_policy
from ..typing import Array


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
        """The derivative in x, shape (S, L), of a sum of terms; one pass over the kernel for all."""
        game = self.game
        values = np.stack([term.next_value for term in terms], axis=1)  # (S, K)
        gains = game.discount * (game.transition.reshape(-1, game.n_states) @ values)
        gains = gains.reshape(game.n_states, game.n_leader, game.n_follower, len(terms))
        rewards = {"lower": game.follower_reward, "upper": game.leader_reward}
        gains += np.stack([rewards[term.channel] for term in terms], axis=3)
        result: Array = np.einsum("sbk,sabk->sa", np.stack([term.mass for term in terms], axis=2), gains)
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
