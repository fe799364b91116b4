"""What the problem sets call to grade an answer: a module for each set, `ps01`, `ps02`, …, with a `Task` for each task.

A task hands over a function that the student wrote. It is run on instances drawn from a seed and compared with a
reference, which gets there by another route than the one that the task teaches. A wrong answer is compared with the
mistakes that students really make, each with one sentence of its own; no sentence tells the answer. A visible test
and a hidden test are the same call with different seeds.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

Function = Callable[..., Any]
NOT_FINITE = "The result holds NaN or an infinity (look for 0 log 0, a division by 0 or an overflow)"


class Wrong(AssertionError):
    """An answer that is not right yet; its text is one sentence for the student."""

    def _render_traceback_(self) -> list[str]:
        """Return what Jupyter shows: the sentence alone, without the source of what raised it."""
        return [str(self)]


@dataclass(frozen=True)
class Instance:
    """The arguments of one call, and in a few words what is special about them."""

    label: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Mistake:
    """A way to be wrong: the sentence for somebody who computed this, and what it computes."""

    message: str
    compute: Function


@dataclass(frozen=True)
class Task:
    """One autograded task. Calling it grades an answer.

    Attributes
    ----------
    reference : callable
        Returns the right result, a number or an array.
    draw : callable
        From a numpy Generator, the instances: among them every special case on which a mistake would show.
    mistakes : sequence of Mistake
        The first that explains the answer on every instance speaks.
    tolerance : float
        Relative to the largest entry of the reference.
    not_finite : str
        The clause for a result with NaN or an infinity; where it happens is added.
    """

    reference: Function
    draw: Callable[[np.random.Generator], Iterable[Instance]]
    mistakes: Sequence[Mistake]
    tolerance: float = 1e-6
    not_finite: str = NOT_FINITE

    def __call__(self, answer: Function, seed: int = 0) -> None:
        """Grade an answer on the instances of a seed; print one line if it is right.

        Raises
        ------
        Wrong
            An AssertionError with one sentence, if the answer is wrong.
        """
        instances = list(self.draw(np.random.default_rng(seed)))
        grade(answer, self.reference, instances, self.mistakes, tolerance=self.tolerance, not_finite=self.not_finite)
        print(f"Right on all {len(instances)} instances.")


def grade(
    answer: Function,
    reference: Function,
    instances: Iterable[Instance],
    mistakes: Iterable[Mistake] = (),
    *,
    tolerance: float = 1e-6,
    not_finite: str = NOT_FINITE,
) -> None:
    """Compare an answer with the reference on every instance.

    Parameters
    ----------
    answer, reference : callable
        Functions of the same arguments. The answer gets copies, so it may write into what it is given.
    instances : iterable of Instance
    mistakes : iterable of Mistake
        Tried where the answer is wrong; the first that explains every instance speaks.
    tolerance : float
        Relative to the largest entry of the reference.
    not_finite : str
        The clause for a result with NaN or an infinity; where it happens is added.

    Raises
    ------
    Wrong
        If the answer is wrong, with one sentence that holds no part of the right answer.
    """
    if not callable(answer):
        raise Wrong(f"A function is asked; this is a {type(answer).__name__}.")
    candidates = list(mistakes)
    labels, right, finite = [], [], []
    for instance in instances:
        expected = np.asarray(reference(*instance.arguments), dtype=float)
        found = _called(answer, instance, expected.shape)
        labels.append(instance.label)
        right.append(_same(found, expected, tolerance))
        finite.append(bool(np.isfinite(found).all()))
        if finite[-1]:  # a mistake may well end in NaN on one instance; the others tell which it was
            candidates = [mistake for mistake in candidates if _explains(mistake, instance, found, tolerance)]
    wrong_numbers = any(not good and real for good, real in zip(right, finite, strict=True))
    if wrong_numbers and candidates:
        raise Wrong(candidates[0].message)
    if not all(finite):
        raise Wrong(f"{not_finite}, on {labels[finite.index(False)]}.")
    if not all(right):
        first = labels[right.index(False)]
        raise Wrong(f"The result is right on {sum(right)} of {len(right)} instances; the first that fails is {first}.")


def _called(answer: Function, instance: Instance, shape: tuple[int, ...]) -> np.ndarray:
    """Return what the answer computes, refused with one sentence if it is nothing one could compare."""
    try:
        with np.errstate(all="ignore"):  # a warning of numpy would stand beside the sentence
            value = answer(*deepcopy(instance.arguments))
    except NotImplementedError:
        raise Wrong("The function is not written yet.") from None
    except (Exception, KeyboardInterrupt) as error:
        _stopped(answer, error, instance.label)
    if value is None:
        raise Wrong("The function returns nothing: is the return statement missing?")
    found = np.asarray(value) if _is_rectangular(value) else np.empty(0, dtype=object)
    if found.dtype.kind not in "biuf":
        raise Wrong(f"The function returns a {type(value).__name__}; a number or an array is asked.")
    if found.shape != shape:
        raise Wrong(f"The result has shape {found.shape}; asked is {shape or 'a single number'}.")
    return found.astype(float)


def _stopped(answer: Function, error: BaseException, label: str) -> NoReturn:
    """Say what stopped the answer, and in which of its lines; a loop without end is stopped from outside."""
    own = getattr(getattr(answer, "__code__", None), "co_filename", None)
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == own:
            line = trace.tb_lineno
        trace = trace.tb_next
    where = "" if line is None else f"line {line} of its cell, "
    if isinstance(error, KeyboardInterrupt):
        raise Wrong(f"The function was interrupted before it came to an end ({where}on {label}).") from None
    said = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": .")
    raise Wrong(f"The function stopped with {said} ({where}on {label}).") from None


def _is_rectangular(value: Any) -> bool:
    try:
        np.asarray(value)
    except Exception:  # a ragged list, or an object whose conversion fails
        return False
    return True


def _explains(mistake: Mistake, instance: Instance, found: np.ndarray, tolerance: float) -> bool:
    """Tell whether a mistake leads to what was found; one that cannot be computed does not."""
    try:
        with np.errstate(all="ignore"):
            computed = np.asarray(mistake.compute(*instance.arguments), dtype=float)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        return False
    return _same(found, computed, tolerance)


def _same(found: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    if found.shape != expected.shape or not np.isfinite(expected).all():
        return False
    size = max(float(np.abs(expected).max(initial=0.0)), 1e-12)
    return bool(np.abs(found - expected).max(initial=0.0) <= tolerance * size)
