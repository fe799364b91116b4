"""Strongly convex regularisers h of a policy's rows, and what follows from each.

With temperature τ ≥ 0 an agent that faces action values q in one state solves

    h*_τ(q) = max_{u ∈ Δ} {⟨u, q⟩ − τ h(u)}            (the conjugate)
    u_τ(q)  = the maximiser                              (the greedy row)

and, h being strongly convex, ∇h*_τ = u_τ for τ > 0. At τ = 0 both are the hard maximum, whatever h.
All functions work on the last axis of arrays (..., A) (lesson 02; Geist, Scherrer and Pietquin 2019,
*A theory of regularized Markov decision processes*).
"""

from typing import ClassVar, Protocol

import numpy as np

from .simplex import project
from .typing import Array


class Regularizer(Protocol):
    """What planning needs to know of h. `u`, `q`, `direction` have shape (..., A)."""

    name: ClassVar[str]

    def value(self, u: Array) -> Array:
        """h(u), shape (...)."""

    def gradient(self, u: Array) -> Array:
        """∇h(u), shape (..., A)."""

    def conjugate(self, q: Array, temperature: float) -> Array:
        """max_u {⟨u,q⟩ − τh(u)}, shape (...)."""

    def maximizer(self, q: Array, temperature: float) -> Array:
        """The maximising u, shape (..., A)."""

    def maximizer_derivative(self, u: Array, direction: Array, temperature: float) -> Array:
        """Derivative of the maximiser in `direction` where its value is `u`, shape (..., A); it is symmetric."""

    def bound(self, n_actions: int) -> float:
        """max |h| over the simplex."""


def row_max(q: Array) -> Array:
    """Return the maximum over the last axis, shape (...).

    Rows of a few actions are numpy's slow case; reduced over the first axis of a transposed copy they take half the
    time, which is felt in every sweep of `planning.solve`.
    """
    result: Array = np.ascontiguousarray(q.T).max(axis=0).T
    return result


def hard_maximizer(q: Array) -> Array:
    """Return the one-hot rows of the first maximal action: the maximiser at τ = 0."""
    result = np.zeros_like(q)
    np.put_along_axis(result, q.argmax(axis=-1)[..., None], 1.0, axis=-1)
    return result


def centered(u: Array, direction: Array) -> Array:
    """Return u ⊙ (direction − ⟨u, direction⟩) for each row u."""
    product = u * direction
    result: Array = product - u * product.sum(axis=-1, keepdims=True)
    return result


class NoRegularizer:
    """h = 0. Every temperature gives the hard maximum."""

    name: ClassVar[str] = "none"

    def value(self, u: Array) -> Array:
        """h(u) = 0."""
        return np.zeros(u.shape[:-1])

    def gradient(self, u: Array) -> Array:
        """∇h(u) = 0."""
        return np.zeros_like(u)

    def conjugate(self, q: Array, temperature: float) -> Array:
        """max_a q(a)."""
        return row_max(q)

    def maximizer(self, q: Array, temperature: float) -> Array:
        """One-hot at the first maximal action."""
        return hard_maximizer(q)

    def maximizer_derivative(self, u: Array, direction: Array, temperature: float) -> Array:
        """0: away from ties the maximiser is locally constant; at a tie it has no derivative."""
        return np.zeros_like(direction)

    def bound(self, n_actions: int) -> float:
        """0."""
        return 0.0


class Entropy:
    """Negative entropy h(u) = Σ u log u; 1-strongly convex in ‖·‖₁ (Pinsker)."""

    name: ClassVar[str] = "entropy"

    def value(self, u: Array) -> Array:
        """h(u) = Σ_a u log u, with 0 log 0 = 0."""
        result: Array = (u * np.log(np.where(u > 0, u, 1.0))).sum(axis=-1)
        return result

    def gradient(self, u: Array) -> Array:
        """∇h(u) = log u + 1; −∞ where u = 0, the true one-sided slope."""
        with np.errstate(divide="ignore"):
            return np.log(u) + 1.0

    def conjugate(self, q: Array, temperature: float) -> Array:
        """τ log Σ exp(q/τ), shifted by the row's maximum so that it cannot overflow."""
        top = row_max(q)
        if temperature == 0:
            return top
        total = np.exp((q - top[..., None]) / temperature) @ np.ones(q.shape[-1])
        result: Array = top + temperature * np.log(total)
        return result

    def maximizer(self, q: Array, temperature: float) -> Array:
        """softmax(q/τ); the first maximal action at τ = 0."""
        if temperature == 0:
            return hard_maximizer(q)
        weight = np.exp((q - row_max(q)[..., None]) / temperature)
        result: Array = weight / (weight @ np.ones(q.shape[-1]))[..., None]
        return result

    def maximizer_derivative(self, u: Array, direction: Array, temperature: float) -> Array:
        """u ⊙ (direction − ⟨u, direction⟩)/τ; 0 at τ = 0 (away from ties)."""
        return np.zeros_like(direction) if temperature == 0 else centered(u, direction) / temperature

    def bound(self, n_actions: int) -> float:
        """log A, at the uniform row."""
        return float(np.log(n_actions))


class SquaredNorm:
    """h(u) = ½‖u‖₂²; 1-strongly convex in ‖·‖₂. Its maximisers may play some actions never."""

    name: ClassVar[str] = "squared_norm"

    def value(self, u: Array) -> Array:
        """h(u) = ½ Σ u²."""
        result: Array = 0.5 * (u * u).sum(axis=-1)
        return result

    def gradient(self, u: Array) -> Array:
        """∇h(u) = u."""
        return np.array(u)

    def conjugate(self, q: Array, temperature: float) -> Array:
        """⟨u,q⟩ − (τ/2)‖u‖² at the maximiser u."""
        u = self.maximizer(q, temperature)
        result: Array = (u * q).sum(axis=-1) - temperature * self.value(u)
        return result

    def maximizer(self, q: Array, temperature: float) -> Array:
        """The exact Euclidean projection of q/τ onto the simplex; the first maximal action at τ = 0."""
        if temperature == 0:
            return hard_maximizer(q)
        return project((q - q.max(axis=-1, keepdims=True)) / temperature)

    def maximizer_derivative(self, u: Array, direction: Array, temperature: float) -> Array:
        """(direction − its mean over the support of u)/τ on the support, 0 off it; a kink where the support changes."""
        support = (u > 0).astype(np.float64)
        if temperature == 0:
            return np.zeros_like(direction)
        share = support / support.sum(axis=-1, keepdims=True)
        mean = (share * direction).sum(axis=-1, keepdims=True)
        result: Array = support * (direction - mean) / temperature
        return result

    def bound(self, n_actions: int) -> float:
        """½, at a single action."""
        return 0.5
