"""Games of two players, and the MDP that one of them faces when the other's policy is fixed."""

from dataclasses import dataclass, field

import numpy as np

from ..regularizers import Entropy, Regularizer
from ..typing import Array
from ..validation import checked_array, checked_distributions
from .mdp import MDP, Model, check_dynamics, trusted


@dataclass(frozen=True, eq=False)
class StackelbergGame:
    """A Stackelberg Markov game: the leader announces a policy x, the follower answers it with an optimal one.

    In every step both act at once; the leader's action a ~ x(·|s) is not seen by the follower before it acts.

    Parameters
    ----------
    transition : array_like (S, L, F, S)
        P(s′ | s, a, b) for the leader's action a and the follower's b; the last axis sums to 1.
    leader_reward : array_like (S, L, F)
        Reward per step of the leader, who is not regularised.
    follower_reward : array_like (S, L, F)
        Reward per step of the follower.
    discount : float
        γ, 0 ≤ γ < 1, the same for both.
    initial : array_like (S,)
        ρ.
    temperature : float
        τ ≥ 0, of the follower.
    regularizer : Regularizer
        The follower's h.

    Raises
    ------
    ValueError
        As `MDP` does.
    """

    transition: Array
    leader_reward: Array
    follower_reward: Array
    discount: float
    initial: Array
    temperature: float = 0.0
    regularizer: Regularizer = field(default_factory=Entropy)

    def __post_init__(self) -> None:
        shape = check_dynamics(self, "L, F")
        for name in ("leader_reward", "follower_reward"):
            object.__setattr__(self, name, checked_array(name, getattr(self, name), shape))

    @property
    def n_states(self) -> int:
        """S."""
        return int(self.transition.shape[0])

    @property
    def n_leader(self) -> int:
        """L, the leader's actions."""
        return int(self.transition.shape[1])

    @property
    def n_follower(self) -> int:
        """F, the follower's actions."""
        return int(self.transition.shape[2])


@dataclass(frozen=True, eq=False)
class ZeroSumGame(Model):
    """A zero-sum Markov game: in every step both players act at once, the first maximises what the second minimises.

    The value of a pair of policies is V(s) = E Σ_t γᵗ [r(s_t, a_t, b_t) − τ h(π₁(s_t)) + τ h(π₂(s_t))]: each player
    pays for its own regularisation (lesson 12).

    Parameters
    ----------
    transition : array_like (S, A, B, S)
        P(s′ | s, a, b) for the actions a of player 1 and b of player 2; the last axis sums to 1.
    reward : array_like (S, A, B)
        r(s, a, b), reward per step of player 1, which player 2 pays.
    discount : float
        γ, 0 ≤ γ < 1.
    initial : array_like (S,)
        ρ.
    temperature : float
        τ ≥ 0, of both players.
    regularizer : Regularizer
        h of both players.

    Raises
    ------
    ValueError
        As `MDP` does.
    """

    transition: Array
    reward: Array
    discount: float
    initial: Array
    temperature: float = 0.0
    regularizer: Regularizer = field(default_factory=Entropy)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reward", checked_array("reward", self.reward, check_dynamics(self, "A, B")))

    @property
    def n_actions(self) -> tuple[int, int]:
        """A and B, the actions of player 1 and of player 2."""
        return int(self.reward.shape[1]), int(self.reward.shape[2])


def response_mdp(game: ZeroSumGame, player: int, opponent_policy: Array) -> MDP:
    """Return the MDP that a player faces when the other one's policy is fixed.

    For player 1, r(s,a) = Σ_b π₂(b|s) r(s,a,b) + τ h(π₂(s)) and P(s′|s,a) = Σ_b π₂(b|s) P(s′|s,a,b). For player 2
    likewise with −r in place of r, because an MDP is maximised: its values are −V (lesson 12).

    Parameters
    ----------
    game : ZeroSumGame
    player : int
        1 or 2: who answers.
    opponent_policy : array (S, B) for player 1, (S, A) for player 2
        Rows sum to 1.

    Returns
    -------
    MDP
        With S states and the player's actions, at the game's temperature.

    Raises
    ------
    ValueError
        If the player is neither 1 nor 2, or the policy has the wrong shape or a row is no distribution.
    """
    if player not in (1, 2):
        raise ValueError(f"player is {player!r}; allowed is 1 or 2.")
    n_states, (n_first, n_second) = game.n_states, game.n_actions
    own, other = (n_first, n_second) if player == 1 else (n_second, n_first)
    policy = checked_distributions("opponent_policy", opponent_policy, (n_states, other))
    if player == 1:
        reward = np.matmul(game.reward, policy[:, :, None])[:, :, 0]
        kernel = np.matmul(policy[:, None, None, :], game.transition)
    else:
        reward = -averaged(game.reward, policy)
        kernel = np.matmul(policy[:, None, :], game.transition.reshape(n_states, n_first, -1))
    if game.temperature:
        reward = reward + game.temperature * game.regularizer.value(policy)[:, None]
    return trusted(MDP, game, transition=kernel.reshape(n_states, own, n_states), reward=reward)


def follower_mdp(game: StackelbergGame, leader_policy: Array) -> MDP:
    """Return the MDP that the follower faces once the leader has announced x.

    r_x(s,b) = Σ_a x(a|s) r_f(s,a,b) and P_x(s′|s,b) = Σ_a x(a|s) P(s′|s,a,b) (lesson 03).

    Parameters
    ----------
    game : StackelbergGame
    leader_policy : array (S, L)
        x(a|s); rows sum to 1.

    Returns
    -------
    MDP
        With S states and F actions.

    Raises
    ------
    ValueError
        If the leader's policy has the wrong shape or a row is no distribution.
    """
    x = checked_distributions("leader_policy", leader_policy, (game.n_states, game.n_leader))
    kernel = np.matmul(x[:, None, :], game.transition.reshape(game.n_states, game.n_leader, -1))
    return trusted(  # means of what the game has checked
        MDP,
        game,
        transition=kernel.reshape(game.n_states, game.n_follower, game.n_states),
        reward=averaged(game.follower_reward, x),
    )


def averaged(reward: Array, leader_policy: Array) -> Array:
    """Return Σ_a x(a|s) reward(s,a,b), shape (S, F)."""
    result: Array = np.matmul(leader_policy[:, None, :], reward)[:, 0, :]
    return result
