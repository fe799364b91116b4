"""Models: checked, frozen data. What is wrong with an array is said when the model is made, not later."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .regularizers import Entropy, Regularizer
from .typing import Array
from .validation import checked_array, checked_distributions, checked_number


class ConvergenceError(RuntimeError):
    """A solver stopped short of its tolerance. `residual` is what it reached, `tolerance` what was asked."""

    def __init__(self, solver: str, residual: float, tolerance: float, iterations: int) -> None:
        self.solver, self.residual, self.tolerance, self.iterations = solver, residual, tolerance, iterations
        super().__init__(
            f"{solver} reached a residual of {residual:.3g} after {iterations} iterations; asked was {tolerance:.3g}."
        )

    def __reduce__(self) -> tuple[type, tuple[str, float, float, int]]:
        """Let it be pickled, so that it can come back from another process."""
        return type(self), (self.solver, self.residual, self.tolerance, self.iterations)


def _check_dynamics(model: "MDP | StackelbergGame", n_states: int) -> None:
    """Check what all models share: γ, ρ and τ."""
    put = object.__setattr__
    allowed = "0 <= discount < 1"
    put(model, "discount", checked_number("discount", model.discount, 0.0, 1.0, allowed=allowed, open_high=True))
    put(model, "initial", checked_distributions("initial", model.initial, (n_states,)))
    put(model, "temperature", _checked_temperature(model.temperature))


def _checked_temperature(temperature: float) -> float:
    allowed = "a finite number, at least 0"
    return checked_number("temperature", temperature, 0.0, np.inf, allowed=allowed, open_high=True)


@dataclass(frozen=True, eq=False)
class MDP:
    """A finite discounted Markov decision process, regularised at temperature τ.

    The value of a policy π is V^π(s) = E Σ_t γᵗ [r(s_t, a_t) − τ h(π(s_t))] (lesson 02).

    Parameters
    ----------
    transition : array_like (S, A, S)
        P(s′ | s, a); the last axis sums to 1.
    reward : array_like (S, A)
        r(s, a), reward per step.
    discount : float
        γ, 0 ≤ γ < 1.
    initial : array_like (S,)
        ρ, the distribution of the first state.
    temperature : float
        τ ≥ 0, in units of reward.
    regularizer : Regularizer
        h; negative entropy unless another is given.

    Raises
    ------
    ValueError
        If an array has the wrong shape, is not finite or is no distribution, or a number is out of its
        range; the message names the field, the first bad index, the value found and what is allowed.
    """

    transition: Array
    reward: Array
    discount: float
    initial: Array
    temperature: float = 0.0
    regularizer: Regularizer = field(default_factory=Entropy)

    def __post_init__(self) -> None:
        transition = checked_distributions("transition", self.transition, (None, None, None))
        n_states, n_actions, n_next = transition.shape
        if n_next != n_states:
            raise ValueError(f"transition has shape {transition.shape}; allowed is (S, A, S), both S equal.")
        put = object.__setattr__  # the door of a frozen dataclass
        put(self, "transition", transition)
        put(self, "reward", checked_array("reward", self.reward, (n_states, n_actions)))
        _check_dynamics(self, n_states)

    def with_reward(self, reward: Array) -> "MDP":
        """Return the same world with another reward (S, A); the kernel, checked already, is shared.

        Raises
        ------
        ValueError
            If the reward has the wrong shape or is not finite.
        """
        return _trusted(self, reward=checked_array("reward", reward, self.reward.shape))

    def with_temperature(self, temperature: float) -> "MDP":
        """Return the same world at another temperature; raises ValueError if it is negative or not finite."""
        return _trusted(self, temperature=_checked_temperature(temperature))

    @property
    def n_states(self) -> int:
        """S."""
        return int(self.reward.shape[0])

    @property
    def n_actions(self) -> int:
        """A."""
        return int(self.reward.shape[1])

    @property
    def scale(self) -> float:
        """max|r| + τ max|h|, the unit in which tolerances are meant: max|r| + τ log A with the entropy; never 0."""
        bound = self.temperature * self.regularizer.bound(self.n_actions)
        return float(np.abs(self.reward).max() + bound) or 1.0


def _trusted(like: "MDP | StackelbergGame", **changes: Any) -> MDP:
    """Return an MDP with the fields that it shares with a checked model and those given, which are not looked at."""
    result = object.__new__(MDP)
    for name in ("transition", "reward", "discount", "initial", "temperature", "regularizer"):
        value = changes[name] if name in changes else getattr(like, name)
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
        object.__setattr__(result, name, value)
    return result


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
        transition = checked_distributions("transition", self.transition, (None, None, None, None))
        n_states, n_leader, n_follower, n_next = transition.shape
        if n_next != n_states:
            raise ValueError(f"transition has shape {transition.shape}; allowed is (S, L, F, S), both S equal.")
        put = object.__setattr__
        put(self, "transition", transition)
        for name in ("leader_reward", "follower_reward"):
            put(self, name, checked_array(name, getattr(self, name), (n_states, n_leader, n_follower)))
        _check_dynamics(self, n_states)

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
    return _trusted(  # means of what the game has checked
        game,
        transition=kernel.reshape(game.n_states, game.n_follower, game.n_states),
        reward=averaged(game.follower_reward, x),
    )


def averaged(reward: Array, leader_policy: Array) -> Array:
    """Return Σ_a x(a|s) reward(s,a,b), shape (S, F)."""
    result: Array = np.matmul(leader_policy[:, None, :], reward)[:, 0, :]
    return result
