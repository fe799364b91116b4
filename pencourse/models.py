"""Models: checked, frozen data. What is wrong with an array is said when the model is made, not later."""

from dataclasses import dataclass, field

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
        allowed = "0 <= discount < 1"
        put(self, "discount", checked_number("discount", self.discount, 0.0, 1.0, allowed=allowed, open_high=True))
        put(self, "initial", checked_distributions("initial", self.initial, (n_states,)))
        allowed = "a finite number, at least 0"
        temperature = checked_number("temperature", self.temperature, 0.0, np.inf, allowed=allowed, open_high=True)
        put(self, "temperature", temperature)

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
