"""What the problem sets call to grade an answer: a module for each set, `ps01`, `ps02`, …, with a `Task` for each task.

A task hands over a function that the student wrote. It is run on instances drawn from a seed and compared with a
reference, which gets there by another route than the one that the task teaches. A wrong answer is compared with the
mistakes that students really make, each with one sentence of its own; no sentence tells the answer. A visible test
and a hidden test are the same call with different seeds.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
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
    """The arguments of one call, and in a few words what is special about them; a tolerance replaces the task's."""

    label: str
    arguments: tuple[Any, ...]
    tolerance: float | None = None


@dataclass(frozen=True)
class Mistake:
    """A way to be wrong: the sentence for somebody who computed this, and what it computes.

    Where that is nothing but rounding, `recognises` tells from what was found, and the arguments, whether it was this.
    """

    message: str
    compute: Function
    recognises: Function | None = None


@dataclass(frozen=True, eq=False)
class Task:
    """One autograded task. Calling it grades an answer.

    Attributes
    ----------
    reference : callable
        Returns the right result: a number, an array, or True or False.
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

    def prepared(self, seed: int) -> "Task":
        """Return the task with the instances of one seed: what it computes of them is computed once for all answers."""
        instances = list(self.draw(np.random.default_rng(seed)))  # they keep the arguments alive, and so their ids

        def once(function: Function) -> Function:
            known: dict[tuple[int, ...], Any] = {}

            def compute(*arguments: Any) -> Any:
                key = tuple(map(id, arguments))
                if key not in known:
                    known[key] = function(*arguments)
                return known[key]

            return compute

        reference = once(self.reference)
        for instance in instances:
            reference(*instance.arguments)  # now, and not in the time of the first answer
        mistakes = [replace(mistake, compute=once(mistake.compute)) for mistake in self.mistakes]
        return replace(self, draw=lambda _: instances, reference=reference, mistakes=mistakes)


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
    stopped: Wrong | None = None
    for instance in instances:
        expected = np.asarray(reference(*instance.arguments))
        within = tolerance if instance.tolerance is None else instance.tolerance
        try:
            found = _called(answer, instance, expected)
        except _Stopped as error:
            stopped = stopped or error
            found = np.full(expected.shape, np.nan)
        labels.append(instance.label)
        right.append(_same(found, expected.astype(float), within))
        finite.append(bool(np.isfinite(found).all()))
        if finite[-1]:  # a mistake may well end in NaN or an error on one instance; the others tell which it was
            candidates = [mistake for mistake in candidates if _explains(mistake, instance, found, within)]
    wrong_numbers = any(not good and real for good, real in zip(right, finite, strict=True))
    if wrong_numbers and candidates:
        raise Wrong(candidates[0].message)
    if stopped is not None:
        raise Wrong(*stopped.args)
    if not all(finite):
        raise Wrong(f"{not_finite}, on {labels[finite.index(False)]}.")
    if not all(right):
        first = labels[right.index(False)]
        raise Wrong(f"The result is right on {sum(right)} of {len(right)} instances; it fails first on {first}.")


class _Stopped(Wrong):
    """An answer that ended in an error on one instance, but may come to an end on others."""


def _called(answer: Function, instance: Instance, expected: np.ndarray) -> np.ndarray:
    """Return what the answer computes, refused with one sentence if it is nothing one could compare."""
    try:
        with np.errstate(all="ignore"):  # a warning of numpy would stand beside the sentence
            value = answer(*deepcopy(instance.arguments))
    except NotImplementedError:
        raise Wrong("The function is not written yet.") from None
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        _stopped(answer, error, instance.label)
    if value is None:
        raise Wrong("The function returns nothing: is the return statement missing?")
    yes_or_no = expected.dtype.kind == "b"
    found = _numbers(value)
    if found is None:
        asked = "True or False" if yes_or_no else "a number or an array"
        raise Wrong(f"The function returns a {type(value).__name__}; {asked} is asked.")
    if found.shape != expected.shape:
        single = "True or False" if yes_or_no else "a single number"
        raise Wrong(f"The result has shape {found.shape}; asked is {expected.shape or single}.")
    if yes_or_no and not np.isin(found, (0, 1)).all():
        raise Wrong("The function returns a number; True or False is asked.")
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
    raise _Stopped(f"The function stopped with {said} ({where}on {label}).") from None


def _numbers(value: Any) -> np.ndarray | None:
    """Return a value as an array of numbers, fractions and decimals too, or None if it is none."""
    try:
        found = np.asarray(value)
        if found.dtype.kind == "O" and found.size:
            found = np.array([float(entry) for entry in found.flat]).reshape(found.shape)
    except Exception:  # a ragged list, or an object whose conversion fails
        return None
    return found if found.dtype.kind in "biuf" else None


def _explains(mistake: Mistake, instance: Instance, found: np.ndarray, tolerance: float) -> bool:
    """Tell whether a mistake leads to what was found; one that cannot be computed does not."""
    if mistake.recognises is not None:
        return bool(mistake.recognises(found, *instance.arguments))
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
