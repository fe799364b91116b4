"""Incentive design: what a designer gets at the players' true equilibrium, by each method (lesson 13).

Random zero-sum games: ten states with three successors each, 5 × 5 actions, γ = 0.9, τ = 0.1, rewards and the
designer's rewards uniform in [0, 1]. An incentive x(s,a,b) is at most 0.5 in absolute value, and (0.1/2)‖x‖² is its
price. Whatever policies a method ends with, its x is judged at the equilibrium that `solve_zero_sum` finds for it.

Every method gets the same number of soft solves: a best response of PBRL, an evaluation of the meta-gradient method,
and in the exact equilibrium each value tried and each of two best responses count one. PBRL comes with λ constant, and
rising in six stages of equal work, each with the step c·τ/λ; the step of the table is c. As a falling step alone may
help, exact differentiation is run with one too, halved from stage to stage. A method's step (and the meta-gradient's
policy step) is the one with the best median over the games from x = 0; with it the methods are then started at random
incentives. All runs are in `incentives.csv`, a row each:

    method, step, policy_step, seed, start     start 0: x = 0; others: x uniform in the box
    net_return                                 designer_return − paid = −φ(x), the larger the better
    designer_return, paid                      V_designer(ρ) at the true equilibrium, and (cost/2)‖x‖²
    pair_return                                net return at the method's own policies
    nash_gap                                   ψ of the method's own policies in the game with x
    moved                                      total variation between the equilibria with x and without, mean of rows
    mixed, mixed_before                        share of rows that mix at τ = 0, with x and without
    soft_solves, seconds, chosen               work; whether the step is the method's
    none                                       net return without incentives

At τ = 0 nearly all rows mix without incentives, and few with what the methods pay: `mixed` tells how many.

Differences in rounding grow on the way where the steps are so large that a method circles.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice, takewhile
from typing import Any

import numpy as np
import pandas as pd

from ... import worlds
from ...baselines import meta_gradient
from ...baselines.hypergradient import hypergradient_states
from ...bilevel import Objective, Run, State, record
from ...cases import incentive_design
from ...cases.incentive_design import IncentiveDesignProblem
from ...descent import pbrl
from ...equilibria import Equilibrium, solve_zero_sum
from ...evaluation import Evaluation, evaluate
from ...penalties import nikaido_isoda
from ...typing import Array
from . import sweep

TEMPERATURE, BOUND, COST = 0.1, 0.5, 0.1
STAGES = 6
POINTS = 24  # of a curve, a multiple of the stages
RISING = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)


@dataclass(frozen=True)
class Scale:
    """Size of the games, (S, A, B), soft solves (a multiple of 24: six stages, four an iteration), grid, starts."""

    size: tuple[int, int, int]
    budget: int
    grid: slice
    starts: int


FULL = Scale((10, 5, 5), 2400, slice(None), 2)
QUICK = Scale((4, 3, 3), 240, slice(1, 3), 2)


class Watched(IncentiveDesignProblem):
    """The problem, which remembers the x of each iteration."""

    def __init__(self, *data: Any) -> None:
        super().__init__(*data)
        self.seen: list[Array] = []

    def upper_objective(self, x: Array, at: Evaluation, rng: np.random.Generator | None = None) -> Objective:
        """f, as it is."""
        if not self.seen or self.seen[-1] is not x:  # PBRL asks twice an iteration
            self.seen.append(x)
        return super().upper_objective(x, at, rng)


def draw(seed: int, scale: Scale) -> IncentiveDesignProblem:
    """Return the problem of a seed."""
    rng = np.random.default_rng(seed)
    game = worlds.random_zero_sum_game(rng, *scale.size, 0.9, branching=3, temperature=TEMPERATURE)
    return incentive_design.problem(game, rng.random(game.reward.shape), bound=BOUND, cost=COST)


def by_pbrl(
    problem: Watched,
    budget: int,
    step: float,
    policy_step: float,
    x: Array,
    *,
    weights: tuple[float, ...],
    **options: Any,
) -> Iterator[Run]:
    """PBRL with one λ after the other, each warm-started at the last one's end; α = step·τ/λ."""
    policies: Any = None
    each = budget // len(weights) // (2 if options.get("simultaneous") else 4)
    options = {"iterations": each - 1, "continuation": 0.0, "policy_step": policy_step, **options}
    for weight in weights:
        alpha = step * TEMPERATURE / weight
        run = pbrl(problem, penalty_weight=weight, step=alpha, start=x, initial_policy=policies, **options)
        yield run
        x, policies = run.upper, run.lower


def by_implicit(
    problem: Watched, budget: int, step: float, policy_step: float, x: Array, *, stages: int = 1
) -> Iterator[Run]:
    """Descent along the exact hypergradient; the step halves from stage to stage."""
    spent = 0
    for stage in range(stages):
        rest = budget * (stage + 1) // stages - spent
        states: Iterator[State] = hypergradient_states(problem, step=step / 2**stage, start=x)
        run = record(takewhile(lambda state, rest=rest: state.soft_solves <= rest, states), budget)  # type: ignore[misc]
        problem.seen.pop()  # of the state that would exceed the budget
        yield run
        x, spent = run.upper, spent + run.history["soft_solves"].iloc[-1]


def by_meta_gradient(problem: Watched, budget: int, step: float, policy_step: float, x: Array) -> Iterator[Run]:
    """The meta-gradient method; two evaluations an iteration."""
    yield meta_gradient(problem, iterations=budget // 2 - 1, step=step, policy_step=policy_step, start=x)


def nothing(problem: Watched, budget: int, step: float, policy_step: float, x: Array) -> Iterator[Run]:
    """No incentives: the equilibrium of the game as it is."""
    yield record(islice(hypergradient_states(problem, step=1.0, start=problem.initial_upper), 1), 0)


@dataclass(frozen=True)
class Method:
    """What yields a run for each stage, from a problem, a budget, the two steps and x; and the steps to try."""

    runs: Callable[[Watched, int, float, float, Array], Iterator[Run]]
    steps: tuple[float, ...]
    policy_steps: tuple[float, ...] = (0.0,)


CONSTANT, TRIED = (1.0, 5.0, 20.0), (1.0, 1.4, 2.0, 2.8)
NONE, IMPLICIT, META, PBRL = "no incentive", "implicit", "meta-gradient", "PBRL, λ rising"
METHODS = {
    NONE: Method(nothing, (0.0,)),
    IMPLICIT: Method(by_implicit, (0.0125, 0.025, 0.05, 0.1)),
    "implicit, steps falling": Method(partial(by_implicit, stages=STAGES), (0.1, 0.2, 0.4, 0.8)),
    META: Method(by_meta_gradient, (0.1, 0.2, 0.4), (0.1, 0.2, 0.3, 0.5)),
    PBRL: Method(partial(by_pbrl, weights=RISING), TRIED, (0.3,)),
    "PBRL, both at once": Method(partial(by_pbrl, weights=RISING, simultaneous=True), TRIED, (0.3,)),
    **{f"PBRL, λ = {w:g}": Method(partial(by_pbrl, weights=(w,)), TRIED, (0.3,)) for w in CONSTANT},
}
STEP = ["method", "step", "policy_step"]
RUN = [*STEP, "seed", "start"]


def judged(
    problem: IncentiveDesignProblem, x: Array, near: Array | None = None
) -> tuple[Equilibrium, dict[str, float]]:
    """Return the true equilibrium with the incentives x, and what the designer gets there."""
    found = solve_zero_sum(problem.lower_model(x), initial_value=near)
    net = -problem.upper_objective(x, evaluate(found.game, found.policies)).value
    paid = 0.5 * problem.cost * float((x * x).sum())
    return found, {"net_return": net, "designer_return": net + paid, "paid": paid}


def mixed(problem: IncentiveDesignProblem, x: Array) -> float:
    """Return the share of rows, of both players, that are mixed in an equilibrium at τ = 0."""
    hard = solve_zero_sum(problem.lower_model(x).with_temperature(0.0))
    return float(np.mean([policy.max(axis=1) < 0.999 for policy in hard.policies]))


def one_run(method: str, step: float, policy_step: float, seed: int, start: int, scale: Scale) -> list[dict[str, Any]]:
    """Run a method once; return one row, its curve under "curve"."""
    problem = draw(seed, scale)
    watched = Watched(problem.game, problem.designer_reward, problem.bound, problem.cost)
    zero = problem.initial_upper
    x = np.random.default_rng([seed, start]).uniform(-BOUND, BOUND, zero.shape) if start else zero
    began = time.perf_counter()
    runs = list(METHODS[method].runs(watched, scale.budget, step, policy_step, x))
    seconds = time.perf_counter() - began
    last, spent, pieces = runs[-1], 0, []
    for run in runs:
        pieces.append(run.history.assign(soft_solves=run.history["soft_solves"] + spent))
        spent = int(pieces[-1]["soft_solves"].iloc[-1])
    before, after = judged(problem, zero)[0], judged(problem, last.upper)
    distances = [0.5 * np.abs(p - q).sum(axis=1) for p, q in zip(before.policies, after[0].policies, strict=True)]
    row: dict[str, Any] = dict(zip(RUN, (method, step, policy_step, seed, start), strict=True)) | after[1]
    row |= {"pair_return": -last.objective, "nash_gap": nikaido_isoda(after[0].game, last.lower).value}
    row |= {
        "moved": float(np.mean(distances)),
        "mixed": mixed(problem, last.upper),
        "mixed_before": mixed(problem, zero),
    }
    row |= {"soft_solves": spent, "seconds": seconds}
    return [row | {"curve": curve(problem, watched.seen, pd.concat(pieces), scale)}]


def curve(problem: IncentiveDesignProblem, seen: list[Array], history: pd.DataFrame, scale: Scale) -> pd.DataFrame:
    """Return the net return at the equilibrium of x on the way, with λ and ψ of the method's own policies."""
    if len(seen) != len(history):
        raise RuntimeError(f"{len(seen)} incentives were seen in {len(history)} iterations.")
    rows, near, solves = [], None, history["soft_solves"].to_numpy()
    for spent in np.linspace(0, scale.budget, POINTS + 1).astype(int):
        k = max(int(np.searchsorted(solves, spent, side="right")) - 1, 0)
        found, worth = judged(problem, seen[k], near)
        near = found.value
        rows.append([spent, worth["net_return"], *history[["penalty_weight", "penalty"]].iloc[k]])
    return pd.DataFrame(rows, columns=["soft_solves", "net_return", "penalty_weight", "nash_gap"])


def run(arguments: argparse.Namespace) -> dict[str, pd.DataFrame]:
    """Run the experiment; return its tables by name."""
    scale = QUICK if arguments.quick else FULL
    seeds = range(arguments.seeds or (3 if arguments.quick else 10))
    tried = [
        (name, step, policy_step)
        for name, method in METHODS.items()
        for step in (method.steps[scale.grid] or method.steps)
        for policy_step in (method.policy_steps[scale.grid] or method.policy_steps)
    ]
    tasks = [(*steps, seed, 0, scale) for steps in tried for seed in seeds]
    rows = sweep(one_run, tasks, jobs=arguments.jobs, label="from x = 0")
    picks = chosen(pd.DataFrame(rows).drop(columns="curve"))
    starts = range(1, scale.starts)
    tasks = [(*steps, seed, start, scale) for steps in picks if steps[0] != NONE for seed in seeds for start in starts]
    rows += sweep(one_run, tasks, jobs=arguments.jobs, label="other starts")
    curves = pd.concat([row.pop("curve").assign(**{key: row[key] for key in RUN}) for row in rows])
    table = pd.DataFrame(rows)
    table["chosen"] = [steps in picks for steps in table[STEP].itertuples(index=False, name=None)]
    table["none"] = table["seed"].map(table[table["method"] == NONE].set_index("seed")["net_return"])
    picked = curves[curves["start"] == 0].merge(table.loc[table["chosen"], RUN], on=RUN)
    groups = picked.groupby(["method", "soft_solves"], sort=False)
    spread = groups["net_return"].quantile([0.1, 0.5, 0.9]).unstack().set_axis(["low", "median", "high"], axis=1)
    return {
        "incentives": table,
        "incentives_curves": spread.join(groups[["penalty_weight", "nash_gap"]].median()).reset_index(),
    }


def chosen(table: pd.DataFrame) -> list[tuple[str, float, float]]:
    """Return for each method its steps: of those tried, those with the best median net return over the games."""
    median = table[table["start"] == 0].groupby(STEP, sort=False)["net_return"].median()
    return list(median.groupby("method", sort=False).idxmax())


def compared(table: pd.DataFrame) -> pd.DataFrame:
    """Return the runs at the chosen steps beside those of the baselines in the same game from the same start.

    `of_implicit` is net_return over that of exact implicit differentiation, `closed` the same for what is gained over
    no incentive.
    """
    picks = table[table["chosen"]]
    for name, column in ((IMPLICIT, "implicit"), (META, "meta")):
        beside = picks.loc[picks["method"] == name, ["seed", "start", "net_return"]]
        picks = picks.merge(beside.rename(columns={"net_return": column}), on=["seed", "start"])
    gained = (picks["net_return"] - picks["none"]) / (picks["implicit"] - picks["none"])
    return picks.assign(of_implicit=picks["net_return"] / picks["implicit"], closed=gained)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row a method, from x = 0 and from the other starts: medians, the worst NE gap, and shares of the runs.

    `above_meta` is the share of runs that end above the meta-gradient's, `within_1pct` of those that reach 99 % of
    what exact implicit differentiation gets, `below_1e-3` of those with a smaller NE gap.
    """
    picks = compared(table)
    flags = {
        "above_meta": picks["net_return"] > picks["meta"],
        "within_1pct": picks["of_implicit"] >= 0.99,
        "below_1e-3": picks["nash_gap"] < 1e-3,
        "from": np.where(picks["start"] == 0, "x = 0", "random x"),
    }
    groups = picks.assign(**flags).groupby(["from", "method"], sort=False)
    columns = ["step", "policy_step", "net_return", "paid", "closed", "of_implicit", "nash_gap", "moved", "seconds"]
    result = groups[columns].median().join(groups[[*flags][:3]].mean())
    return result.assign(worst_gap=groups["nash_gap"].max()).round(6) + 0.0  # no −0


def pictures(tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Draw net return against soft solves, ψ against λ, and all ends beside those of exact differentiation."""
    from .incentives_pictures import ends, ways

    picks = compared(tables["incentives"])
    shown = (NONE, IMPLICIT, META, PBRL, "PBRL, λ = 1", "PBRL, λ = 20")
    others = [name for name in METHODS if name not in (NONE, IMPLICIT)]
    return {"incentives": ways(tables["incentives_curves"], picks, shown, PBRL), "incentives_ends": ends(picks, others)}
