"""What descent needs to know of a penalty."""

from typing import Protocol

from ..bilevel import Term
from ..evaluation import Evaluation
from ..typing import Array


class AnyPenalty(Protocol):
    """What descent needs to know of a penalty, whether the lower level has one player or two."""

    @property
    def value(self) -> float:
        """p ≥ 0."""

    @property
    def policy_gradients(self) -> tuple[Array, ...]:
        """∂p/∂y for the policy of each player."""

    @property
    def weights(self) -> tuple[Array, ...]:
        """The weight of each state, shape (S,), in the gradient of each player's policy."""

    @property
    def terms(self) -> tuple[Term, ...]:
        """The derivative of p in the model, at fixed policies."""

    @property
    def residual(self) -> float:
        """How far the solver of the lower level was from its fixed point, in units of reward."""

    @property
    def optimal(self) -> Evaluation | None:
        """The evaluation of the lower level's solution, where the penalty knows it."""


def total_mass(terms: tuple[Term, ...]) -> Array:
    """Return the derivative of a sum of terms in the reward."""
    result: Array = sum((term.mass for term in terms[1:]), start=terms[0].mass)
    return result
