"""The Nikaido–Isoda penalty: how far a pair of policies is from an equilibrium of a zero-sum Markov game (lesson 12).

    ψ(π₁, π₂) = max_{π₁′} V^{π₁′,π₂}(ρ) − min_{π₂′} V^{π₁,π₂′}(ρ) ≥ 0

is what both players together gain if each answers the other. The penalty is that of Shen, Yang and Chen, *Principled
Penalty-based Methods for Bilevel Reinforcement Learning and RLHF* (2025), section on zero-sum games at the lower level.
"""

from functools import cached_property

import numpy as np

from ..bilevel import Term
from ..equilibria import best_responses
from ..evaluation import GameEvaluation, evaluate
from ..models import ZeroSumGame
from ..planning import Plan
from ..typing import Array
from ..validation import refuse_other
from .shared import total_mass


class NikaidoIsoda:
    """ψ = V^{b₁,π₂}(ρ) − V^{π₁,b₂}(ρ), b₁ and b₂ best responses to π₂ and π₁; made by `nikaido_isoda`.

    `best` holds the plans of both: player 1's in the MDP that π₂ leaves it, player 2's, whose values are −V, in that
    which π₁ leaves it.
    """

    optimal = None  # an equilibrium is not what best responses tell

    def __init__(self, at: GameEvaluation, best: tuple[Plan, Plan]) -> None:
        self.at, self.best = at, best

    @property
    def residual(self) -> float:
        """The larger ‖TV − V‖_∞ of the two plans."""
        return max(plan.residual for plan in self.best)

    @cached_property
    def value(self) -> float:
        """ψ ≥ 0, in units of return, up to the solver's tolerance."""
        return self.best[0].expected_return + self.best[1].expected_return

    @property
    def gains(self) -> tuple[float, float]:
        """What each player gains by an answer, V^{b₁,π₂}(ρ) − V(ρ) and V(ρ) − V^{π₁,b₂}(ρ); ψ is their sum."""
        value = self.at.expected_return
        return self.best[0].expected_return - value, self.best[1].expected_return + value

    @property
    def weights(self) -> tuple[Array, ...]:
        """The occupancies of (π₁, b₂) and of (b₁, π₂): who answers is the other one."""
        return self.best[1].evaluation.occupancy, self.best[0].evaluation.occupancy

    @cached_property
    def policy_gradients(self) -> tuple[Array, ...]:
        """∂ψ/∂π₁ = −∂V^{π₁,b₂}/∂π₁ and ∂ψ/∂π₂ = ∂V^{b₁,π₂}/∂π₂, by Danskin's theorem; shapes (S, A) and (S, B).

        −d(s) [Σ_b b₂(b|s) Q(s,a,b) − τ ∂h(π₁)/∂π₁(a|s)] with d and Q of (π₁, b₂), and
        d(s) [Σ_a b₁(a|s) Q(s,a,b) + τ ∂h(π₂)/∂π₂(b|s)] with d and Q of (b₁, π₂), up to a constant in each row.
        """
        game, (one, two) = self.at.game, self.best
        values = np.stack([two.value, one.value], axis=1) * (-1.0, 1.0)
        ahead = game.discount * (game.transition.reshape(-1, game.n_states) @ values)
        against_two, against_one = (game.reward + column.reshape(game.reward.shape) for column in ahead.T)
        slopes = [-np.matmul(against_two, two.policy[:, :, None])[:, :, 0]]
        slopes.append(np.matmul(one.policy[:, None, :], against_one)[:, 0, :])
        if game.temperature:
            slopes = [
                slope + game.temperature * game.regularizer.gradient(policy)
                for slope, policy in zip(slopes, self.at.policies, strict=True)
            ]
        return tuple(weight[:, None] * slope for weight, slope in zip(self.weights, slopes, strict=True))

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """∇V^{b₁,π₂}(ρ) − ∇V^{π₁,b₂}(ρ) at fixed policies, by Danskin's theorem; each Σ d π π′ [dr + γ dP V].

        The remark on ties at `ValuePenalty.terms` holds here too.
        """
        (first, second), (one, two) = self.at.policies, self.best
        gained = one.evaluation.state_action_occupancy[:, :, None] * second[:, None, :]
        conceded = first[:, :, None] * two.evaluation.state_action_occupancy[:, None, :]
        return Term(gained, one.value), Term(-conceded, -two.value)

    @property
    def reward_gradient(self) -> Array:
        """∂ψ/∂r(s,a,b) at fixed policies, shape (S, A, B)."""
        return total_mass(self.terms)


def nikaido_isoda(
    game: ZeroSumGame, policies: tuple[Array, Array] | GameEvaluation, *, best: tuple[Plan, Plan] | None = None
) -> NikaidoIsoda:
    """Return the Nikaido–Isoda penalty ψ of a pair of policies: what both together gain by best responses.

    ψ ≥ 0, and zero where both policies are best responses to each other from ρ; with ρ > 0 at Nash equilibria only. At
    τ = 0 it has kinks, and the gradients are those of the best responses that `best` holds.

    Parameters
    ----------
    game : ZeroSumGame
    policies : pair of arrays (S, A) and (S, B), or GameEvaluation
        π₁ and π₂; an evaluation of them in the same game saves a check.
    best : pair of Plan, optional
        Best responses to these policies (`equilibria.best_responses`), if they are known already.

    Returns
    -------
    NikaidoIsoda
        With `.value` (float), `.policy_gradients` (S, A) and (S, B), `.terms`, `.reward_gradient` (S, A, B), `.gains`
        (two floats).

    Raises
    ------
    ValueError
        If there are not two policies, or one has the wrong shape or a row is no distribution.
    ConvergenceError
        If a best response is not found.

    References
    ----------
    Nikaido and Isoda, *Note on non-cooperative convex games* (1955).
    """
    refuse_other("game", game, ZeroSumGame)
    at = policies if isinstance(policies, GameEvaluation) else evaluate(game, policies)
    if at.game is not game:
        raise ValueError("policies are an evaluation in another game; allowed is one in the game that is given.")
    first, second = at.policies
    return NikaidoIsoda(at, best_responses(game, (first, second)) if best is None else best)
