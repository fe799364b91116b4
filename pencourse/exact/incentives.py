"""The least incentives that make a given pure profile an equilibrium of a zero-sum Markov game, at τ = 0 (lesson 12).

Player 1's reward becomes r + x, and player 2 pays it, so that the game stays zero-sum. In state s the profile plays
(a*, b*); V is what it is worth under r + x. Once one player keeps to the profile, the other faces an MDP:

    for every π₁,  V^{π₁,b*} − V = (I − γP^{π₁,b*})⁻¹ A₁,  A₁(s) = Σ_a π₁(a|s) [r + x + γPV](s,a,b*) − V(s),

as (I − γP^{π₁,b*})V^{π₁,b*} = r^{π₁,b*} + x^{π₁,b*} (performance difference). The inverse has no negative entries, so
no policy gains anywhere if no action gains once, before a return to the profile; and if one action gains once, playing
it for ever gains. So the profile is an equilibrium in every state if and only if, for all s, a ≠ a* and b ≠ b*,

    V(s) = [r + x + γPV](s,a*,b*),   [r + x + γPV](s,a,b*) ≤ V(s) − δ,   [r + x + γPV](s,a*,b) ≥ V(s) + δ,   δ = 0.

All is linear in (x, V). Where both deviate, x appears nowhere and is 0. Elsewhere V alone says what x has to be:

    x = V − γPV − r at (a*,b*);   x = −(δ + A)₊ at (a,b*);   x = (δ − A)₊ at (a*,b),   A = r + γPV − V.

That is a linear program for Σ|x|, a quadratic one for ½Σx². With D = γP − I (rows: these cells; columns: states), its
dual has a w per cell, w ≥ 0 for player 1's deviations, w ≤ 0 for player 2's, Dᵀw = 0, and, for the minimum over V and
|x| ≤ β of Σc(x) + ⟨w, r + x + DV⟩ + δ Σ_{deviations}|w|,

    max ⟨w, r⟩ + δ Σ_{deviations}|w| + Σ min_{0 ≤ u ≤ β} {c(u) − |w|u}.

The w of the deviations are the solver's. Those of the profile follow from Dᵀw = 0, since D is −(I − γP*) there. Without
a bound, c(u) = u needs |w| ≤ 1, which a division of all of w gives. So the dual value bounds the cost from below, up to
rounding, whatever the solver did, as the primal is the cost of an x that does what it should.

A **margin** δ > 0 makes the profile the only equilibrium in stationary policies. Let (π₁, π₂) be another. Then π₁, too,
guarantees V in every state, so V^{π₁,b*} ≥ V. But A₁(s) ≤ −δ(1 − π₁(a*|s)), and the inverse is I + γP + … ≥ I, so
V^{π₁,b*}(s) ≤ V(s) − δ(1 − π₁(a*|s)), and π₁(a*|s) = 1 everywhere. Likewise π₂.
"""

from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import ArrayLike

from ..models import ConvergenceError, ZeroSumGame
from ..typing import Array
from .solver import PRECISE, solve_program

NAME = "exact.incentives"


@dataclass(frozen=True, eq=False)
class ExactIncentives:
    """Incentives, and a bound on how much less others could cost.

    Attributes
    ----------
    incentives : array (S, A, B)
        x, to be added to player 1's reward; 0 where both deviate.
    value : array (S,)
        Of the game with the incentives: of the profile.
    expected_return : float
        ρᵀ `value`.
    program : str
        "linear, HIGHS" or "quadratic, CLARABEL".
    primal, dual : float
        The cost of x, and a lower bound; the least cost lies between.
    """

    incentives: Array
    value: Array
    expected_return: float
    program: str
    primal: float
    dual: float

    @property
    def cost(self) -> float:
        """Σ|x| or ½Σx²: the primal."""
        return self.primal

    @property
    def gap(self) -> float:
        """primal − dual ≥ 0: what may be saved."""
        return self.primal - self.dual


def incentives(
    game: ZeroSumGame,
    profile: tuple[ArrayLike, ArrayLike],
    *,
    bound: float | None = None,
    cost: str = "linear",
    margin: float = 0.0,
) -> ExactIncentives:
    """Find the incentives of least cost that make a given pure profile an equilibrium in every state.

    *A given pure* profile: which one is cheapest is a mixed-integer program, and a mixed one may be cheaper still
    (matching pennies: half and half costs nothing, each pure profile Σ|x| = 2). *An* equilibrium: with margin 0 there
    may be others, and a solver may find one of those. The cost counts x itself, not what is paid on the way.

    Parameters
    ----------
    game : ZeroSumGame
        At τ = 0.
    profile : pair of integer arrays (S,)
        a* and b*, the players' actions in each state.
    bound : float, optional
        |x| ≤ bound everywhere, up to about 1e-9 of bound + max(max|r|, margin).
    cost : {"linear", "quadratic"}
        Σ|x| or ½Σx².
    margin : float
        δ ≥ 0: how much a deviation must lose at least.

    Returns
    -------
    ExactIncentives

    Raises
    ------
    ValueError
        If τ > 0; if the profile is none, or an option not allowed; if no x within the bound will do: the message says
        which bound would.
    ConvergenceError
        If a solver fails, or primal and dual differ by more than 1e-7 of unit + cost (or its square, if quadratic),
        unit = max(max|r|, margin).
    """
    if game.temperature > 0 and game.regularizer.name != "none":
        raise ValueError(
            f"temperature is {game.temperature!r}; allowed is 0: with the entropy every equilibrium mixes all actions, "
            "whatever the incentives, so that no pure profile is one."
        )
    if cost not in _SOLVERS:
        raise ValueError(f"cost is {cost!r}; allowed are {sorted(_SOLVERS)}.")
    for name, number in (("bound", bound), ("margin", margin)):
        if number is not None and not 0 <= number < np.inf:
            raise ValueError(f"{name} is {number!r}; allowed is a finite number, at least 0.")
    unit = max(float(np.abs(game.reward).max()), margin) or 1.0  # solvers like numbers of size 1
    program, cells = _program(game, _checked(game, profile), unit, margin / unit)
    most = np.inf
    if bound is not None:
        least = float(np.abs(program.paid(_solve(program, "least bound")[0])).max())
        if bound / unit < least - 1e-9 * (1 + least):
            raise ValueError(
                f"bound is {bound!r}; allowed is at least {unit * least:.10g}: no smaller incentives make this profile "
                "an equilibrium."
            )
        most = max(bound / unit, least)
    value, multiplier = _solve(program, cost, most)
    paid = program.paid(value)
    primal, dual = float(_cost(paid, cost).sum()), program.dual(multiplier, cost, most)
    allowed = 1e-7 * (1 + primal)
    size = unit if cost == "linear" else unit**2
    if not abs(primal - dual) <= allowed:
        raise ConvergenceError(f"{NAME} ({cost}, {_SOLVERS[cost]})", abs(primal - dual) * size, allowed * size, 1)
    x = np.zeros(game.reward.shape)
    x[cells] = unit * paid + 0.0  # and no −0
    name, value = f"{cost}, {_SOLVERS[cost]}", unit * value
    return ExactIncentives(x, value, float(game.initial @ value), name, size * primal, size * min(dual, primal))


_SOLVERS = {"linear": cp.HIGHS, "quadratic": cp.CLARABEL}


def _checked(game: ZeroSumGame, profile: tuple[ArrayLike, ArrayLike]) -> list[Any]:
    """Return a* and b*; raises ValueError if they are no actions, one for each state."""
    if len(profile) != 2:
        raise ValueError(f"profile has {len(profile)} parts; allowed are 2, an array of actions for each player.")
    arrays = [np.asarray(actions) for actions in profile]
    for player, (actions, count) in enumerate(zip(arrays, game.n_actions, strict=True)):
        if actions.shape != (game.n_states,) or actions.dtype.kind not in "iu":
            said = f"shape {actions.shape} and type {actions.dtype}"
            raise ValueError(f"profile[{player}] has {said}; allowed are integers of shape ({game.n_states},).")
        if (bad := np.flatnonzero((actions < 0) | (actions >= count))).size:
            found = f"profile[{player}][{bad[0]}] is {actions[bad[0]]}"
            raise ValueError(f"{found}; allowed is an action from 0 to {count - 1}.")
    return arrays


@dataclass(frozen=True)
class _Program:
    """The cells that matter, those of the profile first; `side` is 0 there, 1 and −1 for deviations of 1 and 2."""

    reward: Array
    step: Array  # D
    side: Array
    margin: float

    def paid(self, value: Array) -> Array:
        """Return the least x at V."""
        advantage = self.reward + self.step @ value
        deviation = -self.side * np.maximum(self.margin + self.side * advantage, 0.0)
        return np.where(self.side == 0, -advantage, deviation)

    def dual(self, multiplier: Array, cost: str, most: float) -> float:
        """Return the dual value for the solver's |w|, the profile's part of which is found anew."""
        w, n_states = self.side * np.maximum(multiplier, 0.0), self.step.shape[1]
        w[:n_states] = np.linalg.solve(-self.step[:n_states].T, self.step[n_states:].T @ w[n_states:])
        if cost == "linear" and most == np.inf:
            w /= max(1.0, np.abs(w).max())
        size = np.abs(w)
        u = np.minimum(size, most) if cost == "quadratic" else np.where(size > 1, most, 0.0)
        return float(w @ self.reward + self.margin * size[n_states:].sum() + (_cost(u, cost) - size * u).sum())


def _program(game: ZeroSumGame, profile: list[Any], unit: float, margin: float) -> tuple[_Program, tuple[Any, ...]]:
    """Return the program, and the indices (s, a, b) of its cells."""
    n_states, (n_first, n_second) = game.n_states, game.n_actions
    first = np.arange(n_first)[:, None] == profile[0][:, None, None]
    second = np.arange(n_second) == profile[1][:, None, None]
    kept = [np.nonzero(first & second), np.nonzero(~first & second), np.nonzero(first & ~second)]
    cells = tuple(np.concatenate(indices) for indices in zip(*kept, strict=True))
    side = np.repeat([0.0, 1.0, -1.0], [len(indices[0]) for indices in kept])
    step = game.discount * game.transition[cells] - np.eye(n_states)[cells[0]]
    return _Program(game.reward[cells] / unit, step, side, margin), cells


def _solve(program: _Program, cost: str, most: float = np.inf) -> tuple[Array, Array]:
    """Return V and the multipliers |w| of the least cost, or of the least bound."""
    n_cells, n_states = program.step.shape
    value, size = cp.Variable(n_states), cp.Variable(n_cells, nonneg=True)
    advantage = program.reward + program.step @ value
    keep = size >= program.margin * np.abs(program.side) + cp.multiply(program.side, advantage)
    owed = advantage[:n_states]
    constraints = [keep, size[:n_states] >= owed, size[:n_states] >= -owed]
    if most < np.inf:
        constraints.append(size <= most)
    objective = {"linear": cp.sum(size), "quadratic": cp.sum_squares(size) / 2, "least bound": cp.max(size)}[cost]
    solver = _SOLVERS.get(cost, cp.CLARABEL)  # minimax takes a simplex method long
    precise = PRECISE if solver == cp.HIGHS else {}
    solve_program(cp.Problem(cp.Minimize(objective), constraints), solver, NAME, **precise)
    return np.asarray(value.value), np.asarray(keep.dual_value)


def _cost(x: Array, cost: str) -> Array:
    return np.abs(x) if cost == "linear" else x**2 / 2
