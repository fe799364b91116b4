"""Checks at the door: every array is looked at once, when a model is made or a policy is handed over.

A refused array raises ValueError with four facts: the field, the first bad index, the value found there
and what would have been allowed.
"""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .typing import Array

ROW_SUM_TOLERANCE = 1e-9


def checked_array(name: str, values: ArrayLike, shape: Sequence[int | None]) -> Array:
    """Return `values` as a read-only, contiguous float64 array of the given shape, all entries finite.

    Parameters
    ----------
    name : str
        The field's name, for messages.
    values : array_like
        What the caller gave. It is copied, so later changes by the caller have no effect.
    shape : sequence of int or None
        The length allowed on each axis; None allows any length from 1.

    Raises
    ------
    ValueError
        If the shape differs, or an entry is NaN, infinite or no number.
    """
    try:
        if np.iscomplexobj(values):
            raise TypeError("these are complex")  # numpy would only warn and drop the imaginary part
        array = np.array(values, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of real numbers: {error}") from None
    wanted = tuple("any" if n is None else n for n in shape)
    fits = array.ndim == len(shape) and all(
        have == want or (want is None and have > 0) for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} has shape {array.shape}; allowed is ({', '.join(map(str, wanted))}).")
    refuse_where(name, array, ~np.isfinite(array), "a finite number")
    array.flags.writeable = False
    return array


def checked_distributions(name: str, values: ArrayLike, shape: Sequence[int | None]) -> Array:
    """Return `values` as `checked_array` does, its last axis holding probability distributions.

    Raises
    ------
    ValueError
        If the shape differs, an entry is not finite or negative, or a row does not sum to 1 within 1e-9.
    """
    array = checked_array(name, values, shape)
    sums = array.sum(axis=-1)
    if array.min() >= 0 and np.abs(sums - 1).max() <= ROW_SUM_TOLERANCE:
        return array
    refuse_where(name, array, array < 0, "a probability, at least 0")
    allowed = f"a row sum of 1 within {ROW_SUM_TOLERANCE:g}"
    refuse_where(f"the row sum of {name}", sums, np.abs(sums - 1) > ROW_SUM_TOLERANCE, allowed)
    return array


def checked_number(name: str, value: Any, low: float, high: float, *, allowed: str, open_high: bool = False) -> float:
    """Return `value` as a float from [low, high], or from [low, high) if `open_high`.

    Raises
    ------
    ValueError
        If the value is no real number, NaN, or outside the range; `allowed` says the range in words.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{name} is {value!r}; allowed is {allowed}.")
    number = float(value)
    if not (low <= number < high if open_high else low <= number <= high):
        raise ValueError(f"{name} is {number!r}; allowed is {allowed}.")
    return number


def checked_positive(name: str, value: Any) -> float:
    """Return `value` as a float above 0 and below infinity; raises ValueError as `checked_number` does."""
    least = float(np.nextafter(0.0, 1.0))
    return checked_number(name, value, least, np.inf, allowed="a finite number above 0", open_high=True)


def checked_count(name: str, value: Any, least: int) -> int:
    """Return `value` as an int; raises ValueError if it is no integer, or below `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} is {value!r}; allowed is an integer, at least {least}.")
    return int(value)


def refuse_other(name: str, value: Any, *kinds: type) -> None:
    """Raise ValueError if the value is of none of these kinds."""
    if not isinstance(value, kinds):
        allowed = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"{name} is of type {type(value).__name__}; allowed is {allowed}.")


def refuse_where(name: str, array: np.ndarray, bad: np.ndarray, allowed: str) -> None:
    """Raise ValueError for the first entry marked in `bad`, if there is one."""
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        where = f"[{', '.join(map(str, index))}]" if index else ""
        raise ValueError(f"{name}{where} is {float(array[index])!r}; allowed is {allowed}.")
