"""Wrong answers that students really give, a module for each problem set.

Each has the right shape and type and is right on its special case, so that only a test with hard enough instances
finds it. `message` is the sentence that its author has to hear.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class WrongAnswer:
    """A function as a student wrote it, what its author hears, and arguments on which it is right."""

    task: str
    function: Callable[..., Any]
    message: str
    special: tuple[Any, ...]

    @property
    def name(self) -> str:
        """Task and function, for the test's name."""
        return f"{self.task}-{self.function.__name__}"
