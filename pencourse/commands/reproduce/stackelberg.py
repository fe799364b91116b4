"""Stackelberg Markov games: what a leader gets by each method, at the follower's true best response (lesson 09).

Three families of random games, rewards uniform in [0, 1], γ = 0.9:

- random: the kernel depends on both actions; the follower is regularised (τ = 0.1); no certificate exists.
- leader, follower: it depends on one player's action. The methods run at τ = 0.1, but what they find is judged with the
  follower at τ = 0, ties broken for the leader and against it, and compared with the certificate of
  `exact.stackelberg`. `multistart` anneals τ, which the others do not.

Every method but `multistart` (forty times as many soft solves) gets the same budget and the same grid of steps. A
method's step is the one with the best median over the games; all other runs are in the table and in the picture too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ... import exact, worlds
from ...baselines import hypergradient_descent, independent_gradient
from ...bilevel import Run
from ...cases.stackelberg import best_response
from ...descent import multistart, pbrl, pbrl_partial
from ...models import StackelbergGame
from ...simplex import uniform_policy
from . import sweep

FAMILIES = {"random": "both", "leader": "leader", "follower": "follower"}
TEMPERATURE = 0.1


@dataclass(frozen=True)
class Scale:
    """How large the games are, (S, L, F), and how much work goes into each: soft solves, steps to try, starts."""

    sizes: dict[str, tuple[int, int, int]]
    budget: int
    steps: tuple[float, ...]
    starts: int


PAPER = {"random": (100, 5, 5), "leader": (100, 5, 5), "follower": (10, 3, 3)}
FULL = Scale(PAPER, 300, (0.2, 0.4, 0.8, 1.6, 3.2), 16)
QUICK = Scale({"random": (20, 3, 3), "leader": (20, 3, 3), "follower": (5, 2, 2)}, 100, (0.2, 0.8), 4)

# Each takes a game, a number of soft solves and a step in x.
METHODS: dict[str, Callable[[StackelbergGame, int, float], Run]] = {
    "independent": lambda game, budget, step: independent_gradient(game, iterations=budget - 1, step=step),
    "hypergradient": lambda game, budget, step: hypergradient_descent(game, iterations=budget - 1, step=step),
    "PBRL, value": lambda game, budget, step: pbrl(game, iterations=budget - 1, step=step),
    "PBRL, Bellman": lambda game, budget, step: pbrl(game, penalty="bellman", iterations=budget - 1, step=step),
    "partial": lambda game, budget, step: pbrl_partial(game, iterations=budget // 2 - 1, step=step),
}
MULTISTART = "multistart"
RUN = ["family", "seed", "method", "step"]


def draw(family: str, seed: int, scale: Scale) -> StackelbergGame:
    """Return the game of a family and a seed."""
    rng = np.random.default_rng(seed)
    sizes = scale.sizes[family]
    return worlds.random_stackelberg_game(rng, *sizes, 0.9, controller=FAMILIES[family], temperature=TEMPERATURE)


def judged(family: str, game: StackelbergGame, x: Any) -> dict[str, float]:
    """Return what a leader's policy is worth at the follower's true answer, ties broken either way."""
    true = game if family == "random" else replace(game, temperature=0.0)
    answers = {ties: best_response(true, x, ties=ties).leader_return for ties in ("leader", "against")}
    return {"leader_return": answers["leader"], "ties_against": answers["against"]}


def one_run(family: str, seed: int, method: str, step: float, scale: Scale) -> list[dict[str, Any]]:
    """Run one method on one game; return one row, its curve under "curve"."""
    game = draw(family, seed, scale)
    began = time.perf_counter()
    if method == MULTISTART:
        found = multistart(game, rng=np.random.default_rng(seed), starts=scale.starts, rounds=scale.starts // 2)
        x, pair, gap = found.upper, found.leader_return, 0.0
        history = found.history.rename(columns={"leader_return": "value"})
    else:
        run = METHODS[method](game, scale.budget, step)
        x, pair, gap, history = run.upper, -run.objective, run.penalty, run.history
        history = history.assign(value=-history["hyper_objective"])
    row = {"family": family, "seed": seed, "method": method, "step": step, **judged(family, game, x)}
    row |= {"pair_return": pair, "follower_gap": gap, "soft_solves": int(history["soft_solves"].iloc[-1])}
    return [row | {"seconds": time.perf_counter() - began, "curve": history[["soft_solves", "value"]]}]


def one_certificate(family: str, seed: int, scale: Scale) -> list[dict[str, Any]]:
    """Return one row: what the uniform leader gets, and the certificate where there is one."""
    game = draw(family, seed, scale)
    row = {"family": family, "seed": seed}
    row["uniform"] = judged(family, game, uniform_policy(game.n_states, game.n_leader))["leader_return"]
    if family != "random":
        optimum = exact.stackelberg(game)
        row |= {"certificate": optimum.primal, "bound": optimum.dual}
    return [row]


def run(arguments: argparse.Namespace) -> dict[str, pd.DataFrame]:
    """Run the experiment; return its tables by name."""
    scale = QUICK if arguments.quick else FULL
    seeds = arguments.seeds or (3 if arguments.quick else 10)
    families = [arguments.family] if arguments.family else list(FAMILIES)
    cells = [(family, seed) for family in families for seed in range(seeds)]
    tasks = [(*cell, method, step, scale) for cell in cells for method in METHODS for step in scale.steps]
    tasks += [(*cell, MULTISTART, 0.0, scale) for cell in cells if cell[0] != "random"]
    rows = sweep(one_run, tasks, jobs=arguments.jobs, label="methods")
    bounds = sweep(one_certificate, [(*cell, scale) for cell in cells], jobs=arguments.jobs, label="certificates")
    curves = [row.pop("curve").assign(**{key: row[key] for key in RUN}) for row in rows]
    table = chosen(pd.DataFrame(rows).merge(pd.DataFrame(bounds), on=["family", "seed"]))
    if "certificate" in table:
        table["closed"] = (table["leader_return"] - table["uniform"]) / (table["certificate"] - table["uniform"])
    picked = pd.concat(curves).merge(table.loc[table["chosen"], RUN], on=RUN)
    median = picked.groupby(["family", "method", "soft_solves"], sort=False)["value"].median().reset_index()
    return {"stackelberg": table, "stackelberg_curves": median}


def chosen(table: pd.DataFrame) -> pd.DataFrame:
    """Mark each method's step: of those tried, the one with the best median return over the games of the family."""
    median = table.groupby(["family", "method", "step"])["leader_return"].median().reset_index()
    best = median.loc[median.groupby(["family", "method"])["leader_return"].idxmax(), ["family", "method", "step"]]
    return table.merge(best.assign(chosen=True), how="left").fillna({"chosen": False}).astype({"chosen": bool})


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row a family and method: medians over the games at the method's step, and in how many games it leads."""
    picks = table[table["chosen"]]
    groups = picks.groupby(["family", "method"], sort=False)
    columns = ["step", "leader_return", "ties_against", "pair_return", "follower_gap", "soft_solves"]
    result = groups[[*columns, *(["closed"] if "closed" in table else [])]].median().round(6) + 0.0  # no −0
    single = picks[picks["method"] != MULTISTART]
    best = single.loc[single.groupby(["family", "seed"])["leader_return"].idxmax()]
    result["best_of_single"] = best.groupby(["family", "method"]).size().reindex(result.index, fill_value=0)
    return result


def pictures(tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Draw each family: left all ends (grey crosses: steps not chosen), right the median curves of the chosen ones."""
    from ... import plots

    table, curves = tables["stackelberg"], tables["stackelberg_curves"]
    figures = {}
    for family, part in table.groupby("family", sort=False):
        figure, (ends, way) = plots.canvas(2, width=10.0, height=3.6)
        exactly = family != "random"
        methods = list(part["method"].unique())
        for m, method in enumerate(methods):
            mine = part[part["method"] == method]
            distance = mine["leader_return"] - mine["certificate" if exactly else "uniform"]
            height = m + 0.06 * (mine["seed"] % 10 - 4.5)
            for picked, marker, colour in ((False, "x", "0.7"), (True, plots.MARKERS[m], plots.PALETTE[m])):
                now = mine["chosen"] == picked
                ends.scatter(distance[now], height[now], marker=marker, s=20, color=colour, linewidths=0.8)
            if method != MULTISTART:
                line = curves[(curves["family"] == family) & (curves["method"] == method)]
                way.plot(
                    line["soft_solves"], line["value"], color=plots.PALETTE[m], ls=plots.LINE_STYLES[m], label=method
                )
        against = "the certificate" if exactly else "the uniform leader's"
        ends.set(yticks=range(len(methods)), yticklabels=methods, xlabel=f"leader's return minus {against}")
        ends.set_title(f"family {family}: all games and steps")
        way.set(
            xlabel="soft solves", ylabel="−φ, median of the games", title=f"on the way, follower at τ = {TEMPERATURE}"
        )
        way.legend(frameon=False, fontsize=8)
        figures[f"stackelberg_{family}"] = figure
    return figures
