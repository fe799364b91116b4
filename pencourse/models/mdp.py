"""The Markov decision process, and what all models share."""

from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import numpy as np

from ..regularizers import Entropy, Regularizer
from ..typing import Array
from ..validation import checked_array, checked_distributions, checked_number


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


def check_dynamics(model: Any, actions: str) -> tuple[int, ...]:
    """Check what all models share, P, γ, ρ and τ; return the shape of P without the next state.

    `actions` names the axes between the two states, "A" or "A, B", for the message.
    """
    put = object.__setattr__  # the door of a frozen dataclass
    kernel = checked_distributions("transition", model.transition, (None,) * (3 + actions.count(",")))
    if kernel.shape[-1] != kernel.shape[0]:
        raise ValueError(f"transition has shape {kernel.shape}; allowed is (S, {actions}, S), both S equal.")
    put(model, "transition", kernel)
    allowed = "0 <= discount < 1"
    put(model, "discount", checked_number("discount", model.discount, 0.0, 1.0, allowed=allowed, open_high=True))
    put(model, "initial", checked_distributions("initial", model.initial, kernel.shape[:1]))
    put(model, "temperature", _checked_temperature(model.temperature))
    return kernel.shape[:-1]


def _checked_temperature(temperature: float) -> float:
    allowed = "a finite number, at least 0"
    return checked_number("temperature", temperature, 0.0, np.inf, allowed=allowed, open_high=True)


class Model:
    """What the models of one lower level share: fields that are checked already need not be checked again."""

    reward: Array
    temperature: float
    regularizer: Regularizer

    @property
    def n_states(self) -> int:
        """S."""
        return int(self.reward.shape[0])

    @property
    def n_actions(self) -> Any:
        """How many actions there are: a number, or one for each player."""
        raise NotImplementedError

    @property
    def scale(self) -> float:
        """max|r| + τ max|h|, the unit in which tolerances are meant: max|r| + τ log A with the entropy; never 0."""
        bound = self.temperature * self.regularizer.bound(max(self.reward.shape[1:]))
        return float(np.abs(self.reward).max() + bound) or 1.0

    def with_reward(self, reward: Array) -> Self:
        """Return the same world with another reward of the same shape; the kernel, checked already, is shared.

        Raises
        ------
        ValueError
            If the reward has the wrong shape or is not finite.
        """
        return trusted(type(self), self, reward=checked_array("reward", reward, self.reward.shape))

    def with_temperature(self, temperature: float) -> Self:
        """Return the same world at another temperature; raises ValueError if it is negative or not finite."""
        return trusted(type(self), self, temperature=_checked_temperature(temperature))


Kind = TypeVar("Kind", bound=Model)


def trusted(kind: type[Kind], like: Any, **changes: Any) -> Kind:
    """Return a model with the fields that it shares with a checked one and those given, which are not looked at."""
    result = object.__new__(kind)
    for name in ("transition", "reward", "discount", "initial", "temperature", "regularizer"):
        value = changes[name] if name in changes else getattr(like, name)
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
        object.__setattr__(result, name, value)
    return result


@dataclass(frozen=True, eq=False)
class MDP(Model):
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
        object.__setattr__(self, "reward", checked_array("reward", self.reward, check_dynamics(self, "A")))

    @property
    def n_actions(self) -> int:
        """A."""
        return int(self.reward.shape[1])
