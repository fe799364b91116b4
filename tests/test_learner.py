"""What a learner asks: which lesson needs which, which problem sets pass, and how long a lesson takes."""

import csv
import re
import shutil
import time
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest

import pencourse.__main__ as command_line
from pencourse.commands import learner, repository

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXERCISES = sorted((ROOT / "exercises").glob("*/*.ipynb"))
lessons = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


# Progress


@pytest.fixture
def desk(tmp_path):
    """Problem set 01 as it was released, in a folder like exercises/; a function writes answers into it."""
    path = tmp_path / "exercises" / "ps01_mdps" / "ps01_mdps.ipynb"
    path.parent.mkdir(parents=True)
    shutil.copy(ROOT / "exercises" / "ps01_mdps" / "ps01_mdps.ipynb", path)
    solved = nbformat.read(ROOT / "solutions" / "ps01_mdps" / "ps01_mdps.ipynb", as_version=4)
    solutions = {cell.id: cell.source for cell in solved.cells}

    def write(**answers):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            name = cell.id.replace("-", "_")
            if name in answers:
                cell.source = answers[name] or solutions[cell.id]
        nbformat.write(notebook, path)
        return path

    return write


def test_a_fresh_clone_is_tabled_at_once(tmp_path, capsys):
    """Nothing is run where nothing was written: the welcome notebook must be quick."""
    began = time.perf_counter()
    learner.progress(ROOT / "exercises")
    assert time.perf_counter() - began < 5
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [path.stem for path in EXERCISES]
    learner.progress(tmp_path)
    assert capsys.readouterr().out == f"There is no problem set in {tmp_path}.\n"


@pytest.mark.parametrize("path", EXERCISES, ids=lambda path: path.stem)
def test_released_tasks_are_found_and_none_is_begun(path):
    text = path.read_text(encoding="utf-8")
    numbers = {int(number) for number in re.findall(r'"grade_id": "task-(\d+)-test"', text)}
    assert learner.tasks(path) == dict.fromkeys(sorted(numbers), learner.NOT_BEGUN)


def test_right_answers_pass_and_wrong_ones_do_not(desk, capsys):
    path = desk(task_1_answer="", task_2_answer="def lifted(*arguments):\n    return 0.0")
    assert learner.tasks(path) == {1: learner.PASSES, 2: learner.NOT_YET, 3: learner.NOT_BEGUN}
    learner.progress(path.parents[1])
    assert capsys.readouterr().out == "ps01_mdps  1 of 3 tasks pass; not yet: 2; not begun: 3\n"


def test_a_task_passes_only_with_all_of_its_tests(desk, monkeypatch):
    path = desk(task_1_answer="", task_2_answer="")
    monkeypatch.setattr(learner, "_passed", lambda *_: {"task-1-test", "task-1-hidden", "task-2-test"})
    assert learner.tasks(path) == {1: learner.PASSES, 2: learner.NOT_YET, 3: learner.NOT_BEGUN}


def test_what_a_learner_may_leave_behind_stops_nothing(desk, capsys):
    """No syntax, an exit, an answer that prints, and a file that is none."""
    path = desk(task_1_answer="def (", task_2_answer="import sys\nprint('task-2-test')\nsys.exit()", task_3_answer="")
    states = learner.tasks(path)
    assert states == {1: learner.NOT_YET, 2: learner.NOT_YET, 3: learner.PASSES}
    path.write_text('{"cells": [', encoding="utf-8")
    learner.progress(path.parents[1])
    assert capsys.readouterr().out.startswith("ps01_mdps  cannot be read: ")


def test_an_endless_loop_is_stopped(desk):
    path = desk(task_1_answer="while True:\n    pass", task_2_answer="")
    began = time.perf_counter()
    states = learner.tasks(path, seconds=3)
    assert states == {1: learner.NOT_YET, 2: learner.NOT_YET, 3: learner.NOT_BEGUN}
    assert time.perf_counter() - began < 30


def test_the_cells_are_run_where_the_notebook_lies_and_in_order(desk):
    """A learner's own cell may define what an answer uses; a cell that only uses an answer is not run."""
    path = desk(task_3_answer="")
    notebook = nbformat.read(path, as_version=4)
    place = next(n for n, cell in enumerate(notebook.cells) if cell.id == "task-3-test")
    own = "from pathlib import Path\nassert Path('ps01_mdps.ipynb').exists()\n%precision 3\nPath('here').touch()"
    notebook.cells.insert(place, nbformat.v4.new_code_cell(own))
    use = [cell for cell in notebook.cells if cell.cell_type == "code" and re.match(r"task-\d+-use", cell.id)]
    assert use
    for cell in use:
        cell.source = "Path('used').touch()"
    nbformat.write(notebook, path)
    assert learner.tasks(path)[3] == learner.PASSES
    assert (path.parent / "here").exists() and not (path.parent / "used").exists()


def test_the_command_tables_this_repository(desk, monkeypatch, capsys):
    path = desk()
    monkeypatch.setattr(repository, "ROOT", path.parents[2])
    assert command_line.main(["progress"]) == 0
    assert capsys.readouterr().out == "ps01_mdps  3 tasks, none begun\n"


# Prerequisites


def lesson(folder, name, first):
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(first)]), folder / f"{name}.ipynb")


def test_needs_are_read_from_the_lessons(tmp_path):
    table = (
        "| [01](01_a.ipynb) | first: why? |\n| [02](02_b.ipynb) | case: second: how? |\n| [04](04_d.ipynb) | d: e? |"
    )
    lesson(tmp_path, "00_welcome", f"**You need** nothing: lesson 01 begins at zero. **Time** 1 minute.\n\n{table}")
    lesson(tmp_path, "01_a", "**You need** Python, no lesson. **Time** 10 minutes; lesson 02 takes longer.")
    lesson(tmp_path, "02_b", "**You need** lesson 01 (what follows 03, and lesson 04); 12 eggs.\n\n**Time** 9 minutes.")
    lesson(tmp_path, "03_c", "**You need** lessons 01 (a) and 02 (b, in lesson 01).\n\n**Time** 9 minutes.")
    lesson(tmp_path, "04_d", "**You need** lesson 01, sections 6 and 7; lessons 02, and 03, or lesson 77. **Time** 9")
    needs = learner.needs(tmp_path)
    assert needs == {"01": set(), "02": {"01"}, "03": {"01", "02"}, "04": {"01", "02", "03"}}
    assert learner.arrows(needs) == {"01": set(), "02": {"01"}, "03": {"02"}, "04": {"03"}}
    assert learner.arrows({"01": set(), "02": set(), "03": {"01", "02"}})["03"] == {"01", "02"}
    figure, words = learner.way(tmp_path)
    assert words.endswith("02 needs 01; 03 needs 02; 04 needs 03; and all that those need.")
    assert [text.get_text() for text in figure.axes[0].texts[:4]] == ["01  first", "02  second", "03", "04  d"]
    assert len(figure.axes[0].texts) == 4 + 3  # three arrows
    plt.close(figure)


@lessons
def test_a_lesson_needs_only_earlier_ones(path):
    if path.stem > "01":
        needs = learner.needs(path.parent)
        assert all(number < path.stem[:2] for number in needs[path.stem[:2]])
        assert needs[path.stem[:2]] or path.stem < "02"


def test_the_stored_picture_says_what_the_lessons_say():
    cells = {cell.id: cell for cell in nbformat.read(LESSONS[0], as_version=4).cells}
    (picture,) = [output for output in cells["picture-way"].outputs if "image/png" in output.get("data", {})]
    figure, words = learner.way(ROOT / "notebooks")
    plt.close(figure)
    assert picture.metadata["image/png"]["alt"] == words, "python -m pencourse execute 00"
    assert picture.metadata["image/png"]["width"] == 700
    assert [number in words for number in learner.needs(ROOT / "notebooks")].count(False) == 0


def test_the_picture_is_legible_and_nothing_overlaps():
    """At 700 pixels, ten points are 13 pixels high; no two boxes touch, and all are inside."""
    figure, _ = learner.way(ROOT / "notebooks")
    figure.set_dpi(96)
    figure.canvas.draw()
    texts = [text for text in figure.axes[0].texts if text.get_text()]
    assert min(text.get_fontsize() for text in texts) >= 10
    boxes = [text.get_bbox_patch().get_window_extent() for text in texts]
    assert all(0 <= box.x0 and box.x1 <= 701 and box.y0 >= 0 and box.y1 <= figure.bbox.y1 for box in boxes)
    assert not any(one.overlaps(other) for k, one in enumerate(boxes) for other in boxes[:k])
    plt.close(figure)


# Times


def minutes(path):
    first = nbformat.read(path, as_version=4).cells[0].source
    return int(re.search(r"\*\*Time\*\*.*?(\d+) minutes", first)[1])


@lessons
def test_the_instructors_page_states_the_lessons_minutes(path):
    page = (ROOT / "docs" / "instructor.md").read_text(encoding="utf-8")
    (stated,) = re.findall(rf"^\| {path.stem[:2]} [^|]+\| (\d+) min \|", page, re.MULTILINE)
    assert int(stated) == minutes(path)


@pytest.mark.parametrize("path", EXERCISES, ids=lambda path: path.stem)
def test_a_problem_sets_minutes_agree(path):
    """In its first line, summed over its tasks, and on the instructor's page."""
    first = nbformat.read(path, as_version=4).cells[0].source
    stated = int(re.search(r"\*\*Time\*\* about (\d+) minutes", first)[1])
    rows = [row.strip("|").split("|") for row in first.splitlines() if re.match(r"\| \d", row)]
    assert sum(int(row[3]) for row in rows) == stated
    page = (ROOT / "docs" / "instructor.md").read_text(encoding="utf-8")
    (there,) = re.findall(rf"`{path.stem}` \| (\d+) min \|", page)
    assert int(there) == stated


def measured():
    with (ROOT / "docs" / "times.csv").open(encoding="utf-8", newline="") as file:
        return {row["lesson"]: row for row in csv.DictReader(file)}


@lessons
def test_a_lessons_measured_time_and_memory_are_within_the_budget(path):
    """A lesson with other certificates than when it was measured has to be measured again."""
    row = measured().get(path.stem)
    again = f"python -m pencourse course {path.stem[:2]} --out docs/times.csv"
    assert row, again
    # The budget of a lesson, on two cores.
    assert 0 < float(row["seconds"]) < 60
    assert 0 < float(row["peak_mb"]) < 1000
    cells = nbformat.read(path, as_version=4).cells
    assert int(row["certificates"]) == sum("certificate" in cell.metadata.get("tags", []) for cell in cells), again


def test_only_lessons_are_measured():
    assert list(measured()) == [path.stem for path in LESSONS]
