"""Incentive design as a bilevel problem: a designer pays, two players play a zero-sum Markov game for it.

    r_x(s,a,b) = r(s,a,b) + x(s,a,b),   |x| ≤ bound,      f(x, π) = −V^π_designer(ρ) + (cost/2) ‖x‖².

The incentive is a transfer: player 1 receives x(s,a,b) and player 2 pays it, so the game stays zero-sum. The kernel
does not depend on x. The players play at temperature τ; the designer's return has no regulariser.
"""

from collections.abc import Sequence

import numpy as np

from ..bilevel import Objective, Term, minus_return
from ..evaluation import Evaluation
from ..models import ZeroSumGame
from ..typing import Array
from ..validation import checked_array, checked_number, refuse_other


class IncentiveDesignProblem:
    """Incentive design as a `BilevelProblem`; x (S, A, B) are the incentives. Made by `problem`."""

    def __init__(self, game: ZeroSumGame, designer_reward: Array, bound: float, cost: float) -> None:
        self.game, self.designer_reward = game, designer_reward
        self.bound, self.cost = bound, cost
        self.initial_upper = np.zeros(game.reward.shape)

    def lower_model(self, x: Array) -> ZeroSumGame:
        """The game with the reward r + x."""
        return self.game.with_reward(self.game.reward + x)

    def upper_objective(self, x: Array, at: Evaluation, rng: np.random.Generator | None = None) -> Objective:
        """f = −V_designer(ρ) + (cost/2) ‖x‖²."""
        gain = minus_return(at, self.designer_reward)
        paid = 0.5 * self.cost * float((x * x).sum())
        return Objective(gain.value + paid, gain.policy_gradient, self.cost * x, gain.terms)

    def pull_back(self, x: Array, terms: Sequence[Term]) -> Array:
        """The sum of the masses on the lower level's reward, shape (S, A, B); nothing else depends on x."""
        return np.asarray(sum((term.mass for term in terms if term.channel == "lower"), start=np.zeros_like(x)))

    def project(self, x: Array) -> Array:
        """Each incentive to the nearest number in [−bound, bound]."""
        return np.clip(x, -self.bound, self.bound)


def problem(
    game: ZeroSumGame, designer_reward: Array, *, bound: float = 1.0, cost: float = 0.0
) -> IncentiveDesignProblem:
    """State incentive design in a zero-sum Markov game as a bilevel problem.

    Parameters
    ----------
    game : ZeroSumGame
        Without incentives; its temperature τ is positive for gradient methods.
    designer_reward : array (S, A, B)
        Reward per step of the designer, who does not play.
    bound : float
        Of each |x(s,a,b)|, in units of reward.
    cost : float
        Price of (1/2) ‖x‖², at least 0. It is paid for the incentives announced, whether or not they are earned.

    Returns
    -------
    IncentiveDesignProblem
        A `BilevelProblem` whose x has shape (S, A, B).

    Raises
    ------
    ValueError
        If the designer's reward has the wrong shape or is not finite, or bound or cost is negative.
    """
    refuse_other("game", game, ZeroSumGame)
    allowed = "a finite number, at least 0"
    return IncentiveDesignProblem(
        game,
        checked_array("designer_reward", designer_reward, game.reward.shape),
        checked_number("bound", bound, 0.0, np.inf, allowed=allowed, open_high=True),
        checked_number("cost", cost, 0.0, np.inf, allowed=allowed, open_high=True),
    )
