"""The problem sets can be released, fail unanswered, pass solved, and tell each wrong answer what is wrong with it.

A class of three is taught in a temporary copy of the course, with nbgrader's own commands: `solved` hands in the
solution, `empty` the released file as it is, `wrong` one wrong answer to every task. The first two do so for the first
and the last set only: that all solutions pass is seen by `make nbval`, and that nothing passes unanswered, below.
"""

import html
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import nbformat
import numpy as np
import pytest

from pencourse.checks import Task, Wrong

ROOT = Path(__file__).resolve().parent.parent
SETS = sorted(path.name for path in (ROOT / "solutions").iterdir() if path.is_dir())
MODULES = {name: name.split("_")[0] for name in SETS}
CHECKS = {name: importlib.import_module(f"pencourse.checks.{module}") for name, module in MODULES.items()}
WRONG = {name: importlib.import_module(f"wrong_answers.{module}").WRONG_ANSWERS for name, module in MODULES.items()}
TASKS = {
    name: {task: check for task, check in vars(checks).items() if isinstance(check, Task)}
    for name, checks in CHECKS.items()
}
EACH_TASK = [pytest.param(check, id=f"{name}-{task}") for name in SETS for task, check in TASKS[name].items()]
EACH_WRONG = [
    pytest.param(TASKS[name][wrong.task], wrong, id=f"{name}-{wrong.name}") for name in SETS for wrong in WRONG[name]
]
SEEDS = (0, 1, 2, 101)
ALL = ("solved", "empty", "wrong")
STUDENTS = {name: ALL if name in (SETS[0], SETS[-1]) else ("wrong",) for name in SETS}
CALL = re.compile(r"checks\.(\w+)\((\w+)(?:, seed=(\d+))?\)")


def notebook(folder, name):
    return nbformat.read(ROOT / folder / name / f"{name}.ipynb", as_version=4)


def graded(cells, kind="code"):
    """Return the cells that earn points, by their identifier."""
    return {
        cell.metadata.nbgrader.grade_id: cell
        for cell in cells
        if cell.cell_type == kind and cell.metadata.get("nbgrader", {}).get("grade")
    }


def solution_lines(name):
    """Return the lines of the solutions and proofs that stand nowhere else in the notebook."""
    secret, shown = set(), ""
    for cell in notebook("solutions", name).cells:
        source = cell.source
        if cell.cell_type == "markdown" and cell.metadata.get("nbgrader", {}).get("grade"):
            secret, source = secret | set(source.splitlines()), ""
        elif "### BEGIN SOLUTION" in source:
            before, rest = source.split("### BEGIN SOLUTION")
            region, after = rest.split("### END SOLUTION")
            secret, source = secret | set(region.splitlines()), before + after
        shown += source
    return {line.strip() for line in secret if len(line.strip()) > 20 and line.strip() not in shown}


def wrong_submission(name):
    """Return the released notebook with the first wrong answer to each task in it."""
    submitted = notebook("exercises", name)
    firsts = {wrong.task: wrong for wrong in reversed(WRONG[name])}
    for cell in submitted.cells:
        if cell.id == "imports":
            cell.source = "checks = None"  # grading puts it back
        written = re.match(r"def (\w+)\(", cell.source)
        if cell.cell_type == "code" and written and written[1] in firsts:
            function = firsts.pop(written[1]).function.__name__
            cell.source = f"from wrong_answers.{MODULES[name]} import {function} as {written[1]}"
    assert not firsts
    return submitted


# nbgrader's command line, several commands in one process: each start of it takes seconds.
TEACH = """
import json, sys
from nbgrader import apps
for command, *words in json.loads(sys.argv[1]):
    app = getattr(apps, command.title().replace("_", "") + "App")
    app.launch_instance(words)
    app.clear_instance()
"""


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """Teach a class: release, collect, autograde, feed back."""
    root = tmp_path_factory.mktemp("course")
    shutil.copy(ROOT / "nbgrader_config.py", root)
    shutil.copytree(ROOT / "solutions", root / "solutions", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    environment = os.environ | {
        # nbgrader calls alembic by its bare name, so the environment has to be activated.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT / "tests"),  # where the wrong answers are
        "JUPYTER_CONFIG_DIR": str(root / "jupyter"),
        "IPYTHONDIR": str(root / "ipython"),
    }

    submitted = root / "grading" / "submitted"
    commands = []
    for name in SETS:
        handed_in = {
            "solved": notebook("solutions", name),
            "empty": notebook("exercises", name),
            "wrong": wrong_submission(name),
        }
        for student in STUDENTS[name]:
            (submitted / student / name).mkdir(parents=True)
            nbformat.write(handed_in[student], submitted / student / name / f"{name}.ipynb")
        commands += [["generate_assignment", "--force", name], ["autograde", name]]
        commands += [["generate_feedback", name, "--student", student] for student in STUDENTS[name][1:] or ("wrong",)]
    commands.append(["export", "--to", "grading/grades.csv"])
    teach = [sys.executable, "-c", TEACH, json.dumps(commands)]
    done = subprocess.run(teach, cwd=root, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture(scope="module")
def gradebook(course):
    api = pytest.importorskip("nbgrader.api")
    with api.Gradebook(f"sqlite:///{course / 'grading' / 'gradebook.db'}") as book:
        yield book


def scores(gradebook, name, student):
    """Return the automatic score of each test cell, and the points to be had."""
    grades = gradebook.find_submission_notebook(name, name, student).grades
    return {grade.name: (grade.auto_score, grade.max_score) for grade in grades if grade.cell.cell_type == "code"}


def feedback(course, name, student):
    """Return the words of a feedback page."""
    page = (course / "grading" / "feedback" / student / name / f"{name}.html").read_text(encoding="utf-8")
    page = re.sub(r"<(script|style)\b.*?</\1>", "", page[page.index("<body") :], flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", page)).split())


# Released, unanswered, solved, wrong: in a class


@pytest.mark.parametrize("name", SETS)
def test_released_files_are_what_nbgrader_generates(course, name):
    """`make release` brings them up to date."""
    now = {path.name: path.read_bytes() for path in (course / "exercises" / name).iterdir()}
    kept = {path.name: path.read_bytes() for path in (ROOT / "exercises" / name).iterdir() if path.is_file()}
    assert kept == now


@pytest.mark.parametrize("name", SETS)
def test_every_released_task_fails_unanswered(name, monkeypatch):
    monkeypatch.chdir(ROOT / "exercises" / name)
    here = {}
    for cell in notebook("exercises", name).cells:
        kind = cell.metadata.get("nbgrader", {})
        if cell.id == "imports" or (cell.cell_type == "code" and kind.get("solution")):
            exec(cell.source, here)
        elif cell.cell_type == "code" and kind.get("grade"):
            assert CALL.search(cell.source)  # so that it fails without the hidden tests too
            with pytest.raises(Wrong, match=r"^The function is not written yet\.$"):
                exec(cell.source, here)


@pytest.mark.parametrize("name", SETS)
def test_scores(gradebook, name):
    for student in STUDENTS[name]:
        found = scores(gradebook, name, student)
        assert set(found) == set(graded(notebook("solutions", name).cells))
        assert all(score == (full if student == "solved" else 0) for score, full in found.values())
        assert all(full > 0 for _, full in found.values())
    if "solved" in STUDENTS[name]:  # the proof waits for the teacher
        assert gradebook.find_submission_notebook(name, name, "solved").needs_manual_grade


@pytest.mark.parametrize("name", SETS)
def test_feedback_says_what_is_wrong_and_not_what_is_right(course, name):
    said = feedback(course, name, "wrong")
    for wrong in {wrong.task: wrong for wrong in reversed(WRONG[name])}.values():
        assert said.count(" ".join(wrong.message.split())) == 2  # at the visible and at the hidden test
    for student in STUDENTS[name][1:] or ("wrong",):
        said = feedback(course, name, student)
        assert "pencourse/checks" not in said
        assert not [line for line in solution_lines(name) if " ".join(line.split()) in said]


def test_the_gradebook_is_exported(course):
    lines = (course / "grading" / "grades.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(ALL) * len(SETS)


# Wrong answers, one by one


prepared = cache(Task.prepared)


@pytest.mark.parametrize(("check", "wrong"), EACH_WRONG)
def test_a_wrong_answer_hears_its_sentence(check, wrong):
    for seed in SEEDS:
        with pytest.raises(Wrong) as said:
            prepared(check, seed)(wrong.function)
        assert str(said.value) == wrong.message


@pytest.mark.parametrize(("check", "wrong"), EACH_WRONG)
def test_a_wrong_answer_is_right_on_its_special_case(check, wrong):
    expected, found = (np.asarray(function(*wrong.special)) for function in (check.reference, wrong.function))
    assert found.shape == expected.shape
    assert found.dtype.kind in "bif"
    assert np.abs(found.astype(float) - expected).max() <= check.tolerance * np.abs(expected.astype(float)).max()


@pytest.mark.parametrize("name", SETS)
def test_every_task_has_three_wrong_answers(name):
    for task in TASKS[name]:
        assert len({wrong.function for wrong in WRONG[name] if wrong.task == task}) >= 3


# What is no answer at all


@pytest.mark.parametrize("check", EACH_TASK)
def test_nothing_is_no_answer(check):
    check = prepared(check, 0)
    shape = np.shape(check.reference(*next(iter(check.draw(0))).arguments))
    right_shape = np.empty(shape, dtype=object)
    nothings = [
        None,
        object(),
        "text",
        [],
        [[1], [1, 2]],
        {},
        1j,
        np.ones((2, 3, 5, 7)),
        right_shape,
        np.full(shape, "1"),
    ]
    for nothing in nothings:
        with pytest.raises(Wrong, match=r"returns|shape"):
            check(lambda *_, nothing=nothing: nothing)
    for number in (0, 1, True, np.nan, np.inf):
        with pytest.raises(Wrong):
            check(lambda *_, number=number: np.full(shape, number))
    for answer in (None, 3, "return_weights"):
        with pytest.raises(Wrong, match="A function is asked"):
            check(answer)


@pytest.mark.parametrize("check", EACH_TASK)
def test_an_answer_may_write_into_its_arguments(check, capsys):
    def careless(*arguments):
        result = check.reference(*arguments)
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                argument[...] = 0.0
        return result

    prepared(check, 0)(careless)
    assert re.fullmatch(r"Right on all \d+ instances\.\n", capsys.readouterr().out)


@pytest.mark.parametrize("check", EACH_TASK)
def test_an_answer_that_stops_hears_where(check):
    with pytest.raises(
        Wrong, match=r"^The function stopped with KeyError: 'reward' \(line \d+ of its cell, on .+\)\.$"
    ):
        prepared(check, 0)(lambda *_: {}["reward"])

    def endless(*_):
        raise KeyboardInterrupt  # as nbgrader's time limit does

    with pytest.raises(Wrong, match=r"^The function was interrupted before it came to an end \(line \d+ of its cell"):
        prepared(check, 0)(endless)


@pytest.mark.parametrize("check", EACH_TASK)
def test_every_seed_can_be_answered_and_tells_mistakes_apart(check):
    """A class may get any seed."""
    for seed in range(200, 206):
        ready = prepared(check, seed)
        ready(check.reference)
        for mistake in check.mistakes:
            with pytest.raises(Wrong) as said:
                ready(mistake.compute)
            assert str(said.value) == mistake.message


@pytest.mark.parametrize("check", EACH_TASK)
def test_a_sentence_is_one_sentence(check):
    for mistake in check.mistakes:
        assert re.fullmatch(r"[A-Z][^\n]*[^.]\.", mistake.message)
        assert ". " not in mistake.message


# The notebooks


@pytest.mark.parametrize("name", SETS)
def test_the_tasks_of_a_problem_set(name):
    cells = notebook("solutions", name).cells
    tests, proofs = graded(cells), graded(cells, "markdown")
    called = {grade_id: CALL.findall(cell.source) for grade_id, cell in tests.items()}
    assert 2 <= len(TASKS[name]) <= 4 and len(proofs) == 1
    assert all(check == function for calls in called.values() for check, function, _ in calls)
    visible = {calls[0][0] for grade_id, calls in called.items() if "HIDDEN" not in tests[grade_id].source}
    hidden = {calls[0][0] for grade_id, calls in called.items() if "HIDDEN" in tests[grade_id].source}
    assert visible == hidden == set(TASKS[name])
    for grade_id, calls in called.items():
        assert len({check for check, _, _ in calls}) == 1
        seeds = [seed for _, _, seed in calls]
        assert len(set(seeds)) == len(seeds) == (3 if "HIDDEN" in tests[grade_id].source else 1)
        if "HIDDEN" in tests[grade_id].source:  # a student may have given the name to something else
            assert tests[grade_id].source.startswith(f"from pencourse.checks import {MODULES[name]} as checks\n")
    (imports,) = [cell for cell in cells if cell.id == "imports"]
    assert imports.metadata.nbgrader.locked and not imports.metadata.nbgrader.solution
    for cell in tests.values():
        assert cell.metadata.nbgrader.locked and cell.metadata.nbgrader.points > 0
    (proof,) = proofs.values()
    assert "**Rubric** (" in proof.source and proof.metadata.nbgrader.points == sum_of_rubric(proof.source)


def sum_of_rubric(text):
    """Return the points that a rubric gives away; the middle column of its table."""
    return sum(int(points) for points in re.findall(r"^\|[^|]*\| (\d+) \|", text, flags=re.MULTILINE))


@pytest.mark.parametrize("name", SETS)
def test_a_reader_is_told_what_to_expect(name):
    cells = notebook("solutions", name).cells
    rows = re.findall(r"^\| \d \| .+ \| [●○]{3} \| (\d+) \| (\d+) \|$", cells[0].source, flags=re.MULTILINE)
    everything = [cell.metadata.nbgrader for cell in cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert len(rows) == len(TASKS[name]) + 1
    assert sum(int(points) for _, points in rows) == sum(settings.points for settings in everything)
    said = int(re.search(r"about (\d+) minutes", cells[0].source)[1])
    assert said == sum(int(minutes) for minutes, _ in rows)
    hints = [cell.source.count("<summary>Hint ") for cell in cells if "<summary>Hint " in cell.source]
    assert hints == [2] * len(rows)


@pytest.mark.parametrize("name", SETS)
def test_the_released_copy_gives_nothing_away(name):
    text = (ROOT / "exercises" / name / f"{name}.ipynb").read_text(encoding="utf-8")
    released = "\n".join(cell.source for cell in nbformat.reads(text, as_version=4).cells)
    assert not [line for line in solution_lines(name) if line in released]
    assert not re.search("SOLUTION|HIDDEN|Rubric", text)
    kept = {seed for *_, seed in CALL.findall(released)}
    everything = {seed for cell in notebook("solutions", name).cells for *_, seed in CALL.findall(cell.source)}
    assert len(everything - kept) == 2 * len(TASKS[name])
    assert all(not cell.get("outputs") for cell in nbformat.reads(text, as_version=4).cells)


@pytest.mark.parametrize("name", SETS)
def test_solutions_are_stored_executed(name):
    for cell in notebook("solutions", name).cells:
        assert "execution" not in cell.metadata
        if cell.cell_type == "code":
            assert cell.execution_count
            assert all(output.output_type != "error" for output in cell.outputs)
