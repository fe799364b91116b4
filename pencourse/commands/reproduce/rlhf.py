"""RLHF: what a policy is worth to the person, against the number of labels that she had to give (lesson 11).

Worlds: a 5 × 5 grid with hazards, Gymnasium's FrozenLake (8 × 8) and CliffWalking, rewards scaled to at most 4 (read as
log-odds), starts everywhere, τ = 0.05, γ = 0.9. Pairs of segments of five steps are labelled by Bradley and Terry's
model from the true reward, which no method sees. Reported is the share of the way from the uniform policy's to the
optimal true regularised return. In the hazard grid some variants of PBRL, and labels of which 10 % are coin flips, are
tried with the largest number of labels.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ... import worlds
from ...baselines import drlhf, two_stage
from ...bilevel import Objective
from ...cases import rlhf
from ...descent import pbrl
from ...evaluation import Evaluation, evaluate
from ...models import MDP
from ...planning import solve
from ...simplex import uniform_policy
from ...typing import Array
from . import sweep

LARGEST = 4.0
FEATURES = {"tabular": rlhf.tabular_features, "entry": rlhf.entry_features}


@dataclass(frozen=True)
class Scale:
    """Which worlds and numbers of labels, and how many iterations of PBRL."""

    worlds: tuple[str, ...]
    labels: tuple[int, ...]
    iterations: int


FULL = Scale(("hazard grid", "FrozenLake 8×8", "CliffWalking"), (100, 250, 500, 1000, 2000), 600)
QUICK = Scale(("hazard grid",), (100, 500), 150)


def world_of(name: str) -> MDP:
    """Return a world by its name, its reward scaled to at most 4 in absolute value."""
    if name == "hazard grid":
        return worlds.hazard_grid()
    import gymnasium

    options: dict[str, tuple[str, dict[str, Any]]] = {
        "FrozenLake 8×8": ("FrozenLake-v1", {"map_name": "8x8"}),
        "CliffWalking": ("CliffWalking-v1", {}),
    }
    identifier, settings = options[name]
    world = worlds.from_gymnasium(gymnasium.make(identifier, **settings), 0.9, temperature=0.05, exploration=1.0)
    return world.with_reward(LARGEST * world.reward / np.abs(world.reward).max())


class Halved(rlhf.SampledRlhf):
    """The problem without ∂f/∂y: the reward is fitted on policy, but the policy does not care about f."""

    def upper_objective(self, x: Array, at: Evaluation, rng: np.random.Generator | None = None) -> Objective:
        """f with ∂f/∂y = 0."""
        found = super().upper_objective(x, at, rng)
        return replace(found, policy_gradient=np.zeros_like(found.policy_gradient))


def by_pbrl(
    stated: Callable[..., Any],
    labels: int,
    rng: np.random.Generator,
    iterations: int,
    *,
    batches: int = 50,
    reuse: str = "all",
    blind: bool = False,
    **changes: Any,
) -> Array:
    """PBRL: labels are bought in batches during the first 80 % of the iterations, each at the policy of that moment."""
    pairs = max(2, labels // batches)
    every = 3 * max(1, int(0.8 * iterations * pairs / labels))  # pbrl calls three times an iteration
    problem = stated(pairs=pairs, every=every, budget=labels, reuse=reuse)
    if blind:
        problem.__class__ = Halved
    options: dict[str, Any] = {"penalty_weight": 1.0, "initial_weight": 1.0, "step": 1.0, "initial_temperature": 0.3}
    return pbrl(problem, rng=rng, iterations=iterations, **options | changes).lower


def by_two_stage(stated: Callable[..., Any], labels: int, rng: np.random.Generator, iterations: int) -> Array:
    """Fit the reward to pairs of the uniform policy, once, then plan."""
    return two_stage(stated(pairs=0), pairs=labels, rng=rng).lower


def by_drlhf(stated: Callable[..., Any], labels: int, rng: np.random.Generator, iterations: int) -> Array:
    """Fit reward and policy in turn, ten times."""
    return drlhf(stated(pairs=0), pairs=labels // 10, rounds=10, rng=rng).lower


METHODS: dict[str, Callable[..., Array]] = {"PBRL": by_pbrl, "two-stage": by_two_stage, "DRLHF": by_drlhf}
VARIANTS: dict[str, Callable[..., Array]] = {
    "PBRL, without ∂f/∂y": partial(by_pbrl, blind=True),
    "PBRL, newest pairs only": partial(by_pbrl, reuse="none"),
    "PBRL, old pairs reweighted": partial(by_pbrl, reuse="reweighted"),
    "PBRL, reweighted, without ∂f/∂y": partial(by_pbrl, reuse="reweighted", blind=True),
    "PBRL, τ constant": partial(by_pbrl, continuation=0.0),
    "PBRL, λ = 10": partial(by_pbrl, penalty_weight=10.0, initial_weight=10.0, step=0.1),
}


def one_run(
    name: str, features: str, method: str, labels: int, noise: float, seed: int, scale: Scale
) -> list[dict[str, Any]]:
    """Run a method once; return one row."""
    began, world = time.perf_counter(), world_of(name)
    labeller = rlhf.Labeller(world.reward, noise=noise)
    stated = partial(rlhf.problem, world, labeller, FEATURES[features](world), segment_length=5, bound=LARGEST)
    policy = (METHODS | VARIANTS)[method](stated, labels, np.random.default_rng(seed), scale.iterations)
    low = evaluate(world, uniform_policy(world.n_states, world.n_actions)).expected_return
    high, found = solve(world).expected_return, labeller.score(world, policy)
    row: dict[str, Any] = {"world": name, "features": features, "method": method, "noise": noise, "labels": labels}
    row |= {"seed": seed, "labels_used": labeller.labels_given, "true_return": found, "uniform": low, "optimum": high}
    return [row | {"closed": (found - low) / (high - low), "seconds": time.perf_counter() - began}]


def run(arguments: argparse.Namespace) -> dict[str, pd.DataFrame]:
    """Run the experiment; return its table by name."""
    scale = QUICK if arguments.quick else FULL
    seeds, most = range(arguments.seeds or (3 if arguments.quick else 10)), scale.labels[-1]
    kinds = [(name, features) for name in scale.worlds for features in FEATURES]
    kinds = [kind for kind in kinds if kind[0] == "hazard grid" or kind[1] == "entry"]  # 250 weights: too many to learn
    cells = [(*kind, method, labels, 0.0) for kind in kinds for method in METHODS for labels in scale.labels]
    cells += [("hazard grid", "tabular", method, most, 0.1) for method in METHODS]
    cells += [("hazard grid", "tabular", method, most, 0.0) for method in VARIANTS]
    tasks = [(*cell, seed, scale) for cell in cells for seed in seeds]
    return {"rlhf": pd.DataFrame(sweep(one_run, tasks, jobs=arguments.jobs, label="runs"))}


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return the median share of the way, and the 10 % and 90 % quantiles over the seeds."""
    groups = table.groupby(["world", "features", "method", "noise", "labels"], sort=False)["closed"]
    return groups.quantile([0.1, 0.5, 0.9]).unstack().round(6) + 0.0  # no −0


def pictures(tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Draw for each world and kind of features the median share against the labels, with a band from 10 to 90 %."""
    from ... import plots

    table = tables["rlhf"]
    table = table[(table["noise"] == 0) & table["method"].isin(METHODS)]
    kinds = table.groupby(["world", "features"], sort=False)
    figure, axes = plots.canvas(len(kinds), width=3.6 * len(kinds), height=3.4, sharey=True)
    for ax, ((world, features), part) in zip(axes, kinds, strict=True):
        for m, method in enumerate(METHODS):
            spread = part[part["method"] == method].groupby("labels")["closed"].quantile([0.1, 0.5, 0.9]).unstack()
            style: dict[str, Any] = {
                "color": plots.PALETTE[m],
                "ls": plots.LINE_STYLES[m],
                "marker": plots.MARKERS[m],
                "ms": 4,
            }
            ax.plot(spread.index, spread[0.5], label=method, **style)
            ax.fill_between(spread.index, spread[0.1], spread[0.9], color=plots.PALETTE[m], alpha=0.15, lw=0)
        ax.set(xscale="log", xlabel="labelled pairs", title=f"{world}, {features}")
    axes[0].set(ylabel="share of the way to the optimum")
    axes[0].legend(frameon=False, fontsize=8)
    return {"rlhf": figure}
