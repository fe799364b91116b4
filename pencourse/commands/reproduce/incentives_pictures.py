"""The pictures of the experiment on incentive design."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ... import plots


def ways(curves: pd.DataFrame, picks: pd.DataFrame, methods: tuple[str, ...], rising: str) -> Figure:
    """Draw the median net return against soft solves (bands from 10 to 90 % of the games), and ψ against λ."""
    figure, (way, gaps) = plots.canvas(2, width=10.0, height=3.8)
    for m, method in enumerate(methods):
        line = curves[curves["method"] == method]
        style: dict[str, Any] = {"color": plots.PALETTE[m], "ls": plots.LINE_STYLES[m]}
        way.plot(line["soft_solves"], line["median"], label=method, **style)
        if m in (1, 2, 3):
            way.fill_between(line["soft_solves"], line["low"], line["high"], color=plots.PALETTE[m], alpha=0.15, lw=0)
    way.set(xlabel="soft solves", ylabel="net return at the equilibrium")
    way.legend(frameon=False, fontsize=8, loc="center right", bbox_to_anchor=(1.0, 0.35))
    stages = curves[curves["method"] == rising].groupby("penalty_weight")["nash_gap"].last()
    gaps.plot(stages.index, stages, color=plots.PALETTE[3], marker="D", ls="-", label="λ rising, end of each stage")
    own = picks[(picks["start"] == 0) & picks["method"].str.startswith("PBRL, λ =")]
    weight = own["method"].str.removeprefix("PBRL, λ = ").astype(float)
    gaps.scatter(weight, own["nash_gap"], color=plots.PALETTE[4], marker="v", s=18, label="λ constant, each game")
    slope = np.array([1.0, stages.index.max()])
    gaps.plot(slope, stages.loc[10.0] * (10.0 / slope) ** 2, color="0.5", ls=":", label="slope −2")
    gaps.axhline(1e-3, color="0.8", lw=1, zorder=0)
    gaps.set(xscale="log", yscale="log", xlabel="λ", ylabel="NE gap ψ of the method's policies")
    gaps.legend(frameon=False, fontsize=8)
    return figure


def ends(picks: pd.DataFrame, names: list[str]) -> Figure:
    """Draw each run's net return at its end minus that of exact differentiation."""
    figure, (box,) = plots.canvas(1, width=8.0, height=3.6)
    parts = [picks[picks["method"] == name] for name in names]
    distances = [part["net_return"] - part["implicit"] for part in parts]
    box.boxplot(
        distances, orientation="horizontal", tick_labels=names, medianprops={"color": plots.BLACK}, showfliers=False
    )
    for m, (part, distance) in enumerate(zip(parts, distances, strict=True)):
        height = m + 1 + 0.03 * (part["seed"] % 10 - 4.5)
        for zero, marker, colour in ((True, "o", plots.BLUE), (False, "x", plots.VERMILION)):
            now = (part["start"] == 0) == zero
            label = ("from x = 0" if zero else "from a random x") if m == 0 else None
            box.scatter(distance[now], height[now], marker=marker, color=colour, s=16, linewidths=0.8, label=label)
    box.invert_yaxis()
    box.axvline(0.0, color="0.6", lw=1, zorder=0)
    box.set(xlabel="net return minus that of exact implicit differentiation, same game and start")
    box.legend(frameon=False, fontsize=8)
    return figure
