"""Pictures from recorded data: one palette that colour-blind readers can tell apart, and words for every picture.

A lesson makes a canvas, draws on it, and ends with `show(figure, alt)`. Nothing here computes a result.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from cycler import cycler
from IPython.display import Image, Markdown, display
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from .typing import Array

# Okabe and Ito's palette without its yellow, which is too pale on white. Orange and sky have less than the contrast of
# 3 to 1 that thin lines want, but any darker the colour-blind would take them for vermilion and blue: they come last.
# Line styles and markers go with the colours, so that no curve is told by colour alone.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK = PALETTE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# The same for words, darkened to the contrast of 4.5 to 1 that reading wants.
_INKS = dict(zip(PALETTE, ("#0072B2", "#C25500", "#008661", "#A46086", "#9E6C00", "#397CA2", "#000000"), strict=True))
VALUES, WEIGHTS = "cividis", "rocket_r"  # maps of colour, both monotone in lightness

_STYLE: dict[Any, Any] = {
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "font.size": 10,
}
_STYLE["axes.prop_cycle"] = cycler(color=PALETTE)


def canvas(columns: int = 1, *, width: float = 8.0, height: float = 3.4, **options: Any) -> tuple[Figure, list[Axes]]:
    """Return an empty figure in the course's style with its axes in a row.

    Parameters
    ----------
    columns : int
        Axes side by side.
    width, height : float
        Of the figure, inches.
    **options
        Passed on to `matplotlib.pyplot.subplots`, `width_ratios` for instance.

    Returns
    -------
    figure, axes
        A list of axes even if there is one.
    """
    with sns.axes_style("ticks"), plt.rc_context(_STYLE):
        options = {"squeeze": False, "layout": "constrained", **options}
        figure, axes = plt.subplots(1, columns, figsize=(width, height), **options)
    for ax in axes[0]:
        sns.despine(ax=ax)
    return figure, list(axes[0])


def show(figure: Figure, alt: str) -> None:
    """Display a finished figure with its description, and close it.

    The description stands in the picture's metadata, where exporters look for the alt text, and in a folded line
    below the picture, because JupyterLab does not read it from there. Words in a colour of the palette are darkened
    until they can be read.

    Parameters
    ----------
    figure : Figure
    alt : str
        What the picture shows, for somebody who cannot see it: the axes, the shape, the numbers that matter.

    Raises
    ------
    ValueError
        If alt has fewer than 20 characters: nobody can be told a picture in so few.
    """
    alt = " ".join(alt.split())
    if len(alt) < 20:
        raise ValueError(f"alt is {alt!r}; allowed is a description of at least 20 characters.")
    for text in figure.findobj(Text):
        text.set_color(_INKS.get(text.get_color(), text.get_color()))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    plt.close(figure)
    display(Image(buffer.getvalue(), width=int(figure.get_figwidth() * 96), alt=alt))
    display(Markdown(f"<details><summary>The picture in words</summary>{alt}</details>"))


def heatmap(
    ax: Axes, values: Array, title: str, *, colours: str = VALUES, marks: Sequence[str] | None = None, **options: Any
) -> None:
    """Draw a world's states as cells, coloured by `values` (rows, columns), the number written in each.

    Parameters
    ----------
    ax : Axes
    values : array (rows, columns)
    title : str
    colours : str
        A colour map: `VALUES`, or `WEIGHTS` for occupancies and probabilities.
    marks : sequence of str, optional
        One string a row, one letter a cell, drawn in the cell's corner: FrozenLake's S, F, H, G.
    **options
        Passed on to `seaborn.heatmap`: one `vmin` and `vmax` for instance, where several maps share a scale.
    """
    options = {"annot": True, "fmt": ".2f", "cbar": False, "square": True, "linewidths": 0.5, **options}
    sns.heatmap(values, ax=ax, cmap=colours, **options)
    ax.set(title=title, xticks=[], yticks=[])
    cells: Any = ax.collections[-1]
    cells.update_scalarmappable()
    fills = cells.get_facecolors().reshape(*np.shape(values), -1)
    for number in ax.texts:
        across, down = map(int, number.get_position())
        number.set_color(_on(fills[down, across]))
    for i, row in enumerate(marks or ()):
        for j, letter in enumerate(row):
            ax.text(j + 0.06, i + 0.24, letter, fontsize=8, weight="bold", color=_on(fills[i, j]))


def _on(fill: Array) -> str:
    """Return black or white, whichever is read better on a colour (seaborn's choice has contrasts down to 2.3).

    Both have a contrast of 4.6 at relative luminance 0.179 (WCAG 2.2, "relative luminance" and "contrast ratio").
    """
    rgb = np.array(to_rgb(fill))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return BLACK if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "white"


def convergence(ax: Axes, curves: Mapping[str, Sequence[float] | Array], *, floor: float = 1e-16) -> None:
    """Draw errors over iterations on a logarithmic axis, each curve with its own colour, line style and marker.

    Parameters
    ----------
    ax : Axes
    curves : mapping from label to errors
        Errors start at iteration 0; those below `floor` are not drawn, they are rounding.
    floor : float
    """
    for k, (label, errors) in enumerate(curves.items()):
        shown = np.where(np.asarray(errors) > floor, errors, np.nan)
        every = max(1, len(shown) // 10)
        style: dict[str, Any] = {"color": PALETTE[k % 7], "linestyle": LINE_STYLES[k % 7], "marker": MARKERS[k % 7]}
        ax.semilogy(shown, markevery=every, markersize=4, label=label, **style)
    ax.set(xlabel="iteration")
    ax.legend(frameon=False)


CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])


def on_simplex(ax: Axes, labels: Sequence[str] = ("action 0", "action 1", "action 2")) -> None:
    """Turn the axes into the simplex of three actions: a triangle with a named corner for each action."""
    ax.plot(*CORNERS[[0, 1, 2, 0]].T, color=BLACK, linewidth=1)
    places = (("left", "top"), ("right", "top"), ("center", "bottom"))
    for corner, label, (across, up) in zip(CORNERS, labels, places, strict=True):
        gap = 0.03 if up == "bottom" else -0.03
        ax.text(corner[0], corner[1] + gap, label, ha=across, va=up)
    ax.set(aspect="equal", xlim=(-0.08, 1.08), ylim=(-0.12, 1.0))
    ax.axis("off")


def to_plane(rows: Array) -> Array:
    """Return the places (..., 2) in the triangle of `on_simplex` of probability rows (..., 3)."""
    result: Array = np.asarray(rows) @ CORNERS
    return result
