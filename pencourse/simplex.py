"""The probability simplex Δ = {u ≥ 0, Σ u = 1}: where the rows of a policy live.

Every function works on the last axis and on all leading axes at once.
"""

import numpy as np

from .typing import Array
from .validation import checked_distributions


def uniform_policy(n_states: int, n_actions: int) -> Array:
    """Return the policy (n_states, n_actions) that plays every action with probability 1/n_actions."""
    return np.full((n_states, n_actions), 1.0 / n_actions)


def random_policy(rng: np.random.Generator, n_states: int, n_actions: int) -> Array:
    """Draw a policy (n_states, n_actions) with rows uniform on the simplex."""
    return rng.dirichlet(np.ones(n_actions), size=n_states)


def checked_policy(policy: Array, n_states: int, n_actions: int) -> Array:
    """Return the policy as a read-only float64 array.

    Raises
    ------
    ValueError
        If it has not shape (n_states, n_actions) or a row is no probability distribution.
    """
    return checked_distributions("policy", policy, (n_states, n_actions))


SMALLEST = 1e-300  # a probability that has a logarithm


def exponentiated(policy: Array, step: Array) -> Array:
    """Return the rows proportional to policy · exp(step): the mirror step of the entropy; no entry below 1e-300.

    Parameters
    ----------
    policy, step : array (..., A)
        The policy's entries are above 0.

    Returns
    -------
    array (..., A)
    """
    logs = np.log(policy) + step
    weight = np.maximum(np.exp(logs - logs.max(axis=-1, keepdims=True)), SMALLEST)
    result: Array = weight / weight.sum(axis=-1, keepdims=True)
    return result


def project(point: Array, floor: float = 0.0) -> Array:
    """Project rows onto the simplex in the Euclidean norm: argmin_{u ∈ Δ, u ≥ floor} ‖u − point‖₂.

    The projection is (point − ν)₊ with the one ν that makes the row sum to 1; ν is found exactly from the
    sorted row. A positive floor ε is handled by u = ε + (1 − Aε) w, w ∈ Δ.

    Parameters
    ----------
    point : array (..., A)
        Any real rows.
    floor : float
        The smallest entry allowed, 0 ≤ floor ≤ 1/A.

    Returns
    -------
    array (..., A)

    Raises
    ------
    ValueError
        If floor is negative or above 1/A.

    References
    ----------
    Held, Wolfe and Crowder, *Validation of subgradient optimization* (1974); Condat, *Fast projection onto the
    simplex and the l1 ball* (2016), Algorithm 1.
    """
    n = point.shape[-1]
    mass = 1.0 - n * floor
    if not (floor >= 0 and mass >= -1e-12):
        raise ValueError(f"floor is {floor!r}; allowed is a number from 0 to 1/A = {1 / n:g}.")
    shifted = point - point.max(axis=-1, keepdims=True) - floor  # the projection ignores constants in a row
    descending = -np.sort(-shifted, axis=-1)
    # With k entries above it, ν = (sum of the k largest − mass)/k; the largest of these is the one that fits.
    levels = (np.cumsum(descending, axis=-1) - max(mass, 0.0)) / np.arange(1, n + 1)
    threshold = levels.max(axis=-1, keepdims=True)
    result: Array = np.maximum(shifted - threshold, 0.0) + floor
    return result
