"""Lessons and solutions as they are stored: executed, whole, and in the course's form.

What the cells print is nbval's to compare; here stands what a glance at the file can tell.
"""

import ast
import base64
import itertools
import re
import textwrap
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "solutions").glob("*/*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"
LAST = ["Check yourself", "Summary", "Problem set", "References"]

lessons = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
all_notebooks = pytest.mark.parametrize("path", LESSONS + SOLUTIONS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def tagged(notebook, tag):
    return [cell for cell in code(notebook) if tag in cell.metadata.get("tags", [])]


def prose(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def headings(notebook):
    """Return (level, text) of each heading outside code blocks."""
    found = []
    for source in prose(notebook):
        source = re.sub(r"^```.*?^```", "", source, flags=re.DOTALL | re.MULTILINE)
        found += [(len(marks), text.strip()) for marks, text in re.findall(r"^(#{1,6}) +(.+)$", source, re.MULTILINE)]
    return found


# All notebooks


@all_notebooks
def test_every_cell_was_executed_in_order_and_none_failed(path):
    cells = code(read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error", cell.id
            assert output.get("name") != "stderr", f"{cell.id} warns: {output.text}"


@all_notebooks
def test_the_file_is_valid_and_holds_nothing_that_changes_from_run_to_run(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    assert notebook.metadata.kernelspec == kernel
    assert "version" not in notebook.metadata.get("language_info", {})
    assert "widgets" not in notebook.metadata
    for cell in notebook.cells:
        assert "execution" not in cell.metadata, cell.id
        for output in cell.get("outputs", []):
            assert WIDGET not in output.get("data", {}), f"{cell.id} stores a widget"


@all_notebooks
def test_identifiers_are_words_of_their_own(path):
    identifiers = [cell.id for cell in read(path).cells]
    assert len(set(identifiers)) == len(identifiers)
    drawn = [name for name in identifiers if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f-]+)?", name)]
    assert not drawn, "identifiers drawn at random say nothing"


@all_notebooks
def test_headings_are_in_order(path):
    found = headings(read(path))
    assert [level for level, _ in found].count(1) == 1 and found[0][0] == 1
    for (before, _), (after, text) in itertools.pairwise(found):
        assert after <= before + 1, f"the heading {text!r} skips a level"


@all_notebooks
def test_no_machine_is_named(path):
    """No folder of the machine that executed it, no address of a server there."""
    text = path.read_text(encoding="utf-8")
    traces = re.findall(r"/(?:home|root|work|tmp|Users|mnt|opt|usr/lib)/[\w.-]+|[A-Z]:\\\\Users|site-packages", text)
    traces += re.findall(
        r"(?:localhost|127\.0\.0\.1):\d+|https?://[^/\s\"')]*(?:internal|proxy|mirror)[^\s\"')]*", text
    )
    assert not traces


@all_notebooks
def test_code_is_short_and_fits_on_the_page(path):
    for cell in code(read(path)):
        lines = cell.source.splitlines()
        assert max(map(len, lines)) <= 110, cell.id
        if path in LESSONS:
            assert len(lines) <= 40, f"{cell.id} has {len(lines)} lines"


# Lessons


@lessons
def test_a_lesson_is_neither_short_nor_long(path):
    notebook = read(path)
    assert 15 <= len(notebook.cells) <= 45
    words = sum(len(source.split()) for source in prose(notebook))
    assert words >= (600 if path.stem.startswith("00_") else 1200)


@lessons
def test_the_first_cell_asks_and_promises(path):
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    title = first.source.splitlines()[0]
    assert title.startswith("# ") and title.endswith("?")
    for part in ("**One question.**", "**You will learn**", "**You need**", "**Time**"):
        assert part in first.source, part
    assert re.search(r"\*\*Time\*\*.*\d+ minutes", first.source)


@lessons
def test_the_last_sections_are_there(path):
    notebook = read(path)
    sections = [text for level, text in headings(notebook) if level == 2]
    assert sections[-len(LAST) :] == LAST
    check = "\n".join(prose(notebook)).split("## Check yourself")[1].split("## Summary")[0]
    assert (
        len(re.findall(r"<details>\s*<summary>Answer</summary>\s*\n\s*\n", check)) >= 3
    )  # the blank line lets formulas render
    assert check.count("<details>") == check.count("</details>")


@pytest.mark.parametrize(("path", "following"), list(itertools.pairwise(LESSONS)), ids=lambda path: path.stem[:2])
def test_the_next_lesson_is_one_click_away(path, following):
    end = "\n".join(prose(read(path))).split("## Problem set")[1].split("## References")[0]
    assert re.search(rf"\*\*Next:\*\* \[lesson {following.stem[:2]}, [^]]+\]\({following.name}\)", end)


@lessons
def test_certificates_assert(path):
    certificates = tagged(read(path), "certificate")
    assert len(certificates) >= 3
    for cell in certificates:
        assert cell.id.startswith("certificate-"), cell.id
        asserts = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Assert)]
        assert asserts, f"{cell.id} asserts nothing"
        assert not any(isinstance(node.test, ast.Constant) for node in asserts), f"{cell.id} asserts a constant"
        assert any(output.output_type == "stream" for output in cell.outputs), f"{cell.id} prints nothing"


@lessons
def test_certificate_cells_are_tagged(path):
    """A cell is named a certificate if and only if it is tagged as one, so that `make mutants` knows it."""
    notebook = read(path)
    named = {cell.id for cell in code(notebook) if cell.id.startswith("certificate-")}
    assert named == {cell.id for cell in tagged(notebook, "certificate")}


@lessons
def test_something_moves(path):
    sliders = tagged(read(path), "slider")
    assert sliders
    for cell in sliders:
        assert cell.id.startswith("slider-") and "nbval-ignore-output" in cell.metadata.tags, cell.id
        assert "interact" in cell.source and "continuous_update=False" in cell.source, cell.id


# For those who see colours differently, or no picture at all


@all_notebooks
def test_pictures_have_words(path):
    pictures = 0
    for cell in code(read(path)):
        for output in cell.outputs:
            assert "image/svg+xml" not in output.get("data", {}), f"{cell.id}: plots.show draws a PNG with alt text"
            if "image/png" in output.get("data", {}):
                pictures += 1
                alt = output.metadata.get("image/png", {}).get("alt", "")
                assert len(alt) >= 20, f"a picture of {cell.id} has no alt text"
    assert pictures >= 1 or path in SOLUTIONS


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("path", LESSONS + SOLUTIONS + PAGES, ids=lambda path: path.stem)
def test_images_in_prose_have_words(path):
    text = path.read_text(encoding="utf-8") if path.suffix == ".md" else "\n".join(prose(read(path)))
    assert all(len(alt) >= 5 for alt in re.findall(r"!\[([^\]]*)\]\(", text))
    assert "<img" not in text


DRAWS = {"plot", "semilogy", "semilogx", "loglog", "step", "errorbar", "scatter", "hist", "bar", "barh", "fill_between"}
TELLS = {"linestyle", "ls", "linewidth", "lw", "marker", "hatch", None}  # None: **style


def told_by_colour_alone(source):
    """Return the calls that draw something with a label, or in a pale colour, and give it nothing but a colour.

    A name with `style` in it, or a string such as "o--", may be among what is drawn.
    """
    found = []
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in DRAWS:
            given = {keyword.arg for keyword in call.keywords}
            format_given = any("style" in ast.unparse(each).lower() for each in call.args) or any(
                isinstance(each, ast.Constant) and isinstance(each.value, str) for each in call.args
            )
            wanted = "label" in given or re.search(r"plots\.(ORANGE|SKY)", ast.unparse(call))
            if wanted and not given & TELLS and not format_given:
                found.append(ast.unparse(call))
    return found


@all_notebooks
def test_nothing_is_told_by_its_colour_alone(path):
    """By the file: what a legend names differs in line style, width, marker or hatching too."""
    for cell in code(read(path)):
        source = re.sub(r"^[%!].*$", "", cell.source, flags=re.MULTILINE)
        assert told_by_colour_alone(source) == [], cell.id


# Solutions


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_a_solution_lies_where_nbgrader_looks(path):
    assert path.parent.name == path.stem
    cells = [cell for cell in read(path).cells if "nbgrader" in cell.metadata]
    graded = [cell.metadata.nbgrader for cell in cells if cell.metadata.nbgrader.grade]
    assert len({part.grade_id for part in graded}) == len(graded) and graded
    assert all(part.points > 0 for part in graded)


# This file


def test_headings_are_found_and_code_blocks_are_not_headings():
    source = textwrap.dedent("""\
        # One

        ```python
        # a comment
        ```
        ## Two
        text # not a heading
        """)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(source)])
    assert headings(notebook) == [(1, "One"), (2, "Two")]


def test_what_is_told_by_colour_alone_is_seen():
    assert len(told_by_colour_alone("ax.plot(x, y, color=plots.BLUE, label='cost')")) == 1
    assert len(told_by_colour_alone("ax.bar(x, y, color=plots.SKY)")) == 1
    for told in ("linestyle='--', label='a'", "'o', label='a'", "STYLES[k], label='a'"):
        assert told_by_colour_alone(f"ax.plot(x, y, {told})") == []
    assert told_by_colour_alone("ax.plot(x, y, color=plots.BLUE)\nax.set(label='a')") == []


def test_the_readmes_picture_is_the_lessons():
    cells = {cell.id: cell for cell in read(ROOT / "notebooks" / "07_landscape.ipynb").cells}
    (picture,) = [output for output in cells["picture-landscape"].outputs if "image/png" in output.get("data", {})]
    shown = base64.b64encode((ROOT / "docs" / "landscape.png").read_bytes()).decode()
    assert shown == picture.data["image/png"].replace("\n", "")
    assert "](docs/landscape.png)" in (ROOT / "README.md").read_text(encoding="utf-8")
