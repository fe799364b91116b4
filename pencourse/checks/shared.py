"""What the references of several problem sets share: models to draw, mistakes to list, values by linear solves.

None of it calls the library's evaluation or planning, which the tasks are about.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import CodeType
from typing import Any

import numpy as np

from ..models import MDP
from ..typing import Array
from ..worlds import random_mdp
from . import Function, Mistake, Task, Wrong

Changes = Mapping[str, Mapping[str, Any]]  # for each sentence, the options with which one does what it says


@dataclass(frozen=True, eq=False)
class ByHand(Task):
    """A task that a function of the library would answer in a line; an answer must not name it."""

    without: tuple[str, ...] = ()

    def __call__(self, answer: Function, seed: int = 0) -> None:
        named = _names(getattr(answer, "__code__", None))
        for name in self.without:
            if name in named:
                raise Wrong(f"Your function uses {name}, which this task asks you to do without.")
        super().__call__(answer, seed)


def _names(code: CodeType | None) -> set[str]:
    """Return the names of functions, modules and attributes that a function uses, and those inside it."""
    if code is None:
        return set()
    return set(code.co_names).union(*(_names(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def garnet(rng: np.random.Generator, n_states: int, n_actions: int, discount: float) -> MDP:
    """Draw a sparse model with rewards of both signs and a start that is not uniform."""
    mdp = random_mdp(rng, n_states, n_actions, discount, branching=min(2, n_states))
    reward = rng.normal(size=(n_states, n_actions))
    return MDP(mdp.transition, reward, discount, rng.dirichlet(np.ones(n_states)))


def told(compute: Function, changes: Changes) -> list[Mistake]:
    """Return a mistake for each sentence: `compute` with these options."""
    return [Mistake(sentence, partial(compute, **options)) for sentence, options in changes.items()]


def mixed(tables: Array, mix: Array) -> Array:
    """Return (1−x) table₀ + x table₁; x has shape (…, S), the result (…, S, A) or (…, S, A, S)."""
    share = mix.reshape(mix.shape + (1,) * (tables.ndim - 2))
    result: Array = (1 - share) * tables[0] + share * tables[1]
    return result


def worth_of(kernel: Array, gain: Array, discount: float, policy: Array) -> Array:
    """Return the value of a policy whose expected reward is gain, for a stack of models or of policies."""
    system = np.eye(gain.shape[-1]) - discount * np.einsum("...sa,...sat->...st", policy, kernel)
    result: Array = np.linalg.solve(system, gain[..., None])[..., 0]
    return result


def visited(kernel: Array, discount: float, initial: Array, policy: Array) -> Array:
    """Return the occupancy from the values of the rewards that pay 1 in one state each."""
    system = np.eye(len(initial)) - discount * np.einsum("sa,sat->st", policy, kernel)
    result: Array = initial @ np.linalg.inv(system)
    return result
