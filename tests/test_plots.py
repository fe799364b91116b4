"""Pictures: what is drawn is what was given, everyone can tell the colours apart, and every picture has its words."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from pencourse import plots

# Machado, Oliveira and Fernandes (2009), severity 1.0; on linear RGB.
DEFICIENCIES = {
    "full sight": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def linear(colour):
    srgb = np.array(to_rgb(colour))
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIE L*a*b* of linear RGB under D65."""
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    xyz = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", DEFICIENCIES)
def test_the_palette_is_told_apart(sight):
    """Two colours at a distance of 2.3 in Lab are just told apart; side by side in a figure, ten is easy."""
    seen = [lab(DEFICIENCIES[sight] @ linear(colour)) for colour in plots.PALETTE]
    nearest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))
    assert nearest >= 10, f"{nearest:.1f}"
    white = lab(np.ones(3))
    assert min(np.linalg.norm(colour - white) for colour in seen) >= 25


def contrast(one, other="white"):
    """The contrast ratio of WCAG 2.2."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    return float(linear(colour) @ (0.2126, 0.7152, 0.0722))


def test_contrast_is_that_of_wcag():
    assert contrast("black") == pytest.approx(21)
    assert contrast("#767676") == pytest.approx(4.54, abs=0.005)  # WebAIM: the lightest grey for text on white


def test_lines_and_words_stand_out_from_white():
    """Lines want 3, words 4.5. Two colours are too pale for a line without a style or a marker; see their comment."""
    pale = {colour for colour in plots.PALETTE if contrast(colour) < 3}
    assert pale == {plots.ORANGE, plots.SKY} == set(plots.PALETTE[4:6])
    assert min(contrast(colour) for colour in pale) >= 2.2
    figure, (ax,) = plots.canvas()
    words = [ax.text(0, 0, "a word", color=colour) for colour in plots.PALETTE]
    white = ax.text(0, 0, "white, on something dark", color="white")
    ax.set_title("a title", color=plots.VERMILION)
    plots.show(figure, "seven words, each in its colour")
    assert all(contrast(word.get_color()) >= 4.5 for word in [*words, ax.title, ax.xaxis.label, *ax.get_xticklabels()])
    assert white.get_color() == "white"


@pytest.mark.parametrize("name", [plots.VALUES, plots.WEIGHTS])
def test_numbers_can_be_read_on_every_colour_of_a_map(name):
    values = np.linspace(0, 1, 101).reshape(1, -1)
    values[0, 7] = np.nan  # a cell that is left blank
    _, (ax,) = plots.canvas()
    plots.heatmap(ax, values, "a title", colours=name, marks=["F" * 101])
    fills = ax.collections[0].cmap(values[0])
    written = {int(text.get_position()[0]): text for text in ax.texts[:100]}
    assert sorted(written) == [k for k in range(101) if k != 7]
    for k, number in written.items():
        assert contrast(number.get_color(), fills[k]) >= 4.5, k
        assert ax.texts[100 + k].get_color() == number.get_color()


def test_no_curve_is_told_by_its_colour_alone():
    assert len(set(plots.PALETTE)) == len(set(plots.LINE_STYLES)) == len(set(plots.MARKERS)) == 7


@pytest.mark.parametrize("name", [plots.VALUES, plots.WEIGHTS])
def test_the_maps_of_colour_are_monotone_in_lightness(name):
    _, (ax,) = plots.canvas()
    plots.heatmap(ax, np.eye(2), "a title", colours=name)
    colours = ax.collections[0].cmap(np.linspace(0, 1, 64))[:, :3]
    lightness = np.diff([lab(linear(colour))[0] for colour in colours])
    assert (lightness > -0.3).all() or (lightness < 0.3).all()


def test_canvas():
    figure, axes = plots.canvas(3, width=9.0, height=2.5, width_ratios=[1, 2, 1])
    assert isinstance(axes, list) and len(axes) == 3
    assert figure.get_size_inches().tolist() == [9.0, 2.5]
    assert figure.get_layout_engine() is not None
    assert not axes[0].spines["top"].get_visible()
    lines = [line for k in range(7) for line in axes[1].plot([0, 1], [0, k])]
    assert [line.get_color() for line in lines] == list(plots.PALETTE)
    _, (alone,) = plots.canvas()
    assert alone.figure.get_size_inches()[0] == 8.0


def test_show_stores_the_words(monkeypatch):
    shown = []
    monkeypatch.setattr(plots, "display", shown.append)
    figure, (ax,) = plots.canvas(width=5.0)
    ax.plot([1, 2], [3, 4])
    plots.show(figure, "a line that rises\n    from three to four")
    data, metadata = shown[0]._repr_mimebundle_()
    assert "image/png" in data
    assert metadata["image/png"]["alt"] == "a line that rises from three to four"
    assert metadata["image/png"]["width"] == 480
    assert "a line that rises from three to four" in shown[1].data
    assert not plt.fignum_exists(figure.number)


def test_show_draws_the_same_bytes_twice(monkeypatch):
    pictures = []
    for _ in range(2):
        shown = []
        monkeypatch.setattr(plots, "display", shown.append)
        figure, (ax,) = plots.canvas()
        ax.plot([1, 2], [3, 4])
        plots.show(figure, "a line that rises from three to four")
        pictures.append(shown[0].data)
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize("alt", ["", "   ", "a picture", " \n too  short \n      "])
def test_show_refuses_a_picture_without_words(alt):
    figure, _ = plots.canvas()
    with pytest.raises(ValueError, match=r"alt is .*allowed is a description of at least 20"):
        plots.show(figure, alt)


def test_heatmap_draws_the_values_and_writes_them():
    values = np.array([[0.0, 0.5, 1.0], [0.25, 0.125, 2.0]])
    _, (ax,) = plots.canvas()
    plots.heatmap(ax, values, "what it says", marks=["SFF", "FHG"])
    np.testing.assert_array_equal(ax.collections[0].get_array().reshape(2, 3), values)
    words = [text.get_text() for text in ax.texts]
    assert words[:6] == [f"{value:.2f}" for value in values.ravel()]
    assert words[6:] == list("SFFFHG")
    assert [text.get_color() for text in ax.texts[6:]] == [text.get_color() for text in ax.texts[:6]]
    assert ax.get_title() == "what it says" and not len(ax.get_xticks())


def test_convergence_draws_the_errors_above_rounding():
    _, (ax,) = plots.canvas()
    errors = {"Newton": [1.0, 1e-3, 1e-9, 0.0], "sweeps": [1.0, 0.5, 0.25]}
    plots.convergence(ax, errors)
    newton, sweeps = ax.get_lines()
    np.testing.assert_array_equal(newton.get_xdata(), range(4))
    np.testing.assert_array_equal(newton.get_ydata(), [1.0, 1e-3, 1e-9, np.nan])
    np.testing.assert_array_equal(sweeps.get_ydata(), [1.0, 0.5, 0.25])
    assert ax.get_yscale() == "log" and ax.get_xlabel() == "iteration"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Newton", "sweeps"]
    assert newton.get_linestyle() != sweeps.get_linestyle() and newton.get_marker() != sweeps.get_marker()
    plots.convergence(ax, {"again": [1.0, 1e-3]}, floor=1e-2)
    assert np.isnan(ax.get_lines()[2].get_ydata()[1])


def test_the_simplex_is_a_triangle_with_named_corners():
    np.testing.assert_allclose(plots.to_plane(np.eye(3)), plots.CORNERS)
    sides = [np.linalg.norm(a - b) for a, b in itertools.combinations(plots.CORNERS, 2)]
    np.testing.assert_allclose(sides, 1.0)
    np.testing.assert_allclose(
        plots.to_plane(np.full((2, 1, 3), 1 / 3)), np.broadcast_to([0.5, np.sqrt(1 / 12)], (2, 1, 2))
    )
    _, (ax,) = plots.canvas()
    plots.on_simplex(ax, ["rock", "paper", "scissors"])
    assert [text.get_text() for text in ax.texts] == ["rock", "paper", "scissors"]
    np.testing.assert_allclose(ax.get_lines()[0].get_xydata(), plots.CORNERS[[0, 1, 2, 0]])
    assert not ax.axison
