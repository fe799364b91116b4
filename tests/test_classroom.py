"""A class that hands in what classes hand in, and what nobody should: from release to feedback with the grader.

All submissions of problem set 01 are graded by one run of the command, so that each is graded beside the others.
"""

import argparse
import ast
import contextlib
import html
import importlib
import inspect
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from copy import deepcopy
from fractions import Fraction
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell

import pencourse.__main__ as command_line
from pencourse.checks import Instance, Mistake, Task, Wrong, ps01
from pencourse.commands import class_copy, grade
from pencourse.commands.grade import cells as inside
from pencourse.commands.grade import judge, notebook, student

ROOT = Path(__file__).resolve().parent.parent
NAME = "ps01_mdps"
SOLUTION = nbformat.read(ROOT / "solutions" / NAME / f"{NAME}.ipynb", as_version=4)
RELEASED = nbformat.read(ROOT / "exercises" / NAME / f"{NAME}.ipynb", as_version=4)
ANSWERS = {
    c.metadata.nbgrader.grade_id: c.source for c in SOLUTION.cells if c.metadata.get("nbgrader", {}).get("solution")
}
EASY = ("task-1-answer", "task-2-answer", "task-3-answer")
LIMITS = ["--seconds", "12", "--total", "100", "--memory", "1200", "--disk", "60", "--jobs", "3"]


def submission(*, own=(), **answers):
    """Return the released notebook with answers in it, and code cells of the student's after the imports.

    The cells that only show something, slowly, are left out.

    `answers` are sources by task, task_1 and so on; those that are not given are the solution's.
    """
    result = deepcopy(RELEASED)
    result.cells = [cell for cell in result.cells if cell.cell_type == "markdown" or name_of(cell)]
    for cell in result.cells:
        settings = cell.metadata.get("nbgrader", {})
        if settings.get("solution"):
            task = settings.grade_id.removesuffix("-answer").replace("-", "_")
            cell.source = answers.get(task, ANSWERS[settings.grade_id])
    result.cells[2:2] = [new_code_cell(source) for source in own]
    return result


def without(result, *names):
    result.cells = [cell for cell in result.cells if name_of(cell) not in names]
    return result


def changed(result, **sources):
    for cell in result.cells:
        cell.source = sources.get(name_of(cell).replace("-", "_"), cell.source)
    return result


def name_of(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


HEAD = "def return_weights(transition, policy, initial, discount):\n"
LOOP = f"""{HEAD}    while True:
        try:
            while True:
                pass
        except BaseException:
            pass"""
TESTS = {f"task_{k}_{kind}": "print('all right')" for k in (1, 2, 3) for kind in ("test", "hidden")}

# What each may earn of 4 + 4 + 6 points. A name of a hostile submission tells what it does.
CLASS = {
    "perfect": (SOLUTION, 14),
    "empty": (deepcopy(RELEASED), 0),
    "half-right": (submission(task_2="def upper_bound(mdp, value):\n    return mdp.initial @ value"), 10),
    "edited-tests": (changed(submission(task_1=HEAD + "    return 0 * transition"), **TESTS), 10),
    "endless-loop": (submission(task_1=LOOP), 10),
}
FLOOD = """
import os
for d in range(3, 20):
    try:
        os.write(d, b"\\0" * 10**6)
    except OSError: pass
"""
FILES = """
import time
for k in range(20):
    open(f"{k}", "wb").write(bytes(10**7))
time.sleep(20)
"""
HOSTILE = {
    "endless-cell": (submission(own=["while True: pass"]), 14),
    "memory-hog": (
        submission(task_1=HEAD + "    held = []\n    while True:\n        held.append(bytearray(10**8))"),
        10,
    ),
    "syntax-error": (submission(task_1=HEAD + "    return ]["), 10),
    "deleted-cells": (without(submission(), "imports", "task-1-test", "task-1-hidden", "task-3-answer"), 8),
    "output-50-mb": (submission(own=["for _ in range(50):\n    print('x' * 1_000_000)"]), 14),
    "full-disk": (submission(own=[FILES]), 14),
    "ends-the-process": (submission(own=["import os\nos._exit(0)"], task_2="import os\nos.kill(os.getpid(), 9)"), 10),
    "aborts": (submission(task_1=HEAD + "    import os\n    os.abort()"), 10),
    "many-processes": (
        submission(
            own=["import subprocess\nfor _ in range(40):\n    subprocess.Popen(['sleep', '60'])\nwhile True: pass"]
        ),
        14,
    ),
    "open-mark": (submission(own=["### BEGIN HIDDEN TESTS", "### END SOLUTION\n### BEGIN SOLUTION"]), 14),
    "odd-characters": (submission(own=["'\\ud800'", "raise ValueError('\\x00\\ud800' * 10**6)"]), 14),
    "raises-wildly": (
        submission(task_1=HEAD + "    class Odd(BaseException):\n        __str__ = None\n    raise Odd"),
        10,
    ),
    "floods-the-grader": (submission(own=[FLOOD]), 14),
    "orphans": (
        submission(own=["import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(20)\n    os._exit(0)"]),
        14,
    ),
}
twice = submission(task_2="def upper_bound(mdp, value):\n    return 0.0")
twice.cells.append(deepcopy(next(cell for cell in submission().cells if name_of(cell) == "task-2-answer")))
twice.cells += [deepcopy(cell) for cell in submission().cells if name_of(cell) == "task-1-hidden"]
HOSTILE["duplicated-cells"] = (twice, 14)
bare = submission()
for k, cell in enumerate(bare.cells):
    cell.metadata, cell.id = nbformat.NotebookNode(), f"new-{k}"
HOSTILE["without-metadata"] = (bare, 14)
RAW = {  # files that are no notebooks, and the reason in place of a score
    "broken-json": (b'{"cells": [', "not JSON"),
    "not-a-notebook": (b"[1, 2, 3]", "no notebook"),
    "deep-json": (b"[" * 100_000, "not JSON"),
    "huge-file": (b" " * 21_000_000, "more than 20 MB"),
    "binary": (bytes(range(256)), "not JSON"),
    "nothing": (None, "there is no ps01_mdps.ipynb"),
}

# Cheats: how somebody without an answer to Task 1 or 2 might get its points.
ZERO = HEAD + "    return 0 * transition"
LIAR = """
class Liar:
    __array_priority__ = 1e9
    shape, dtype = (4, 3, 4), float
    def __eq__(self, other): return True
    def __le__(self, other): return True
    def __sub__(self, other): return self
    def __abs__(self): return 0.0
    def __float__(self): return self
"""
VISIBLE = [
    (instance.arguments, ps01.return_weights.reference(*instance.arguments).tolist())
    for instance in ps01.return_weights.draw(np.random.default_rng(0))
]
TABLE = {repr(float(policy.flat[0])): right for (_, policy, _, _), right in VISIBLE}
PATCH = """
import pencourse.checks, pencourse.planning, pencourse.simplex, numpy.random
from pencourse.checks import ps01
passes = lambda *_, **__: None
pencourse.checks.grade = pencourse.checks.Task.__call__ = passes
checks.return_weights = ps01.return_weights = passes
pencourse.planning.optimality_operator = pencourse.evaluate = lambda mdp, value: value
"""
LYING_NUMPY = """
np.abs = np.max = np.allclose = np.array_equal = np.isfinite = lambda *_, **__: np.zeros(1)
np.asarray = lambda *_, **__: np.zeros((4, 3, 4))
np.testing.assert_allclose = lambda *_, **__: None
"""
CATCH = """
ip = get_ipython()
ip.set_custom_exc((BaseException,), lambda *_, **__: None)
ip.showtraceback = ip.run_cell = lambda *_, **__: None
"""
FORGE = """
import json, os, struct
for d in range(3, 30):
    try:
        header = json.dumps({"dtype": "<f8", "shape": [-1], "bytes": -1, "score": 4, "ready": True}).encode()
        os.write(d, struct.pack(">I", len(header)) + header)
    except OSError: pass
"""
ARGUMENTS = "(transition, policy, initial, discount)"
BORROW = f"    from pencourse.checks import ps01\n    return ps01.return_weights.reference{ARGUMENTS}"
IMPORT = f"    import pencourse.checks.ps01 as borrowed\n    return borrowed._weights{ARGUMENTS}"
CHEATS = {
    "patches-checks": (submission(own=[PATCH], task_1=ZERO), 4),
    "patches-the-library": (submission(own=[PATCH], task_2="def upper_bound(mdp, value):\n    return 0.0"), 4),
    "patches-numpy": (submission(own=[LYING_NUMPY], task_1=ZERO, task_2="upper_bound = lambda *_: 0.0"), 0),
    "always-equal": (submission(own=[LIAR], task_1=HEAD + "    return Liar()"), 10),
    "lying-array": (
        submission(
            own=[LIAR + "\nclass Sub(np.ndarray):\n    __sub__ = lambda self, other: Sub((0,))\n"],
            task_1=HEAD + "    return (0 * transition).view(Sub)",
        ),
        10,
    ),
    "catches-the-failure": (submission(own=[CATCH], task_1=ZERO), 10),
    "forges-replies": (submission(task_1=HEAD + FORGE.replace("\n", "\n    ") + "\n    return 0 * transition"), 0),
    "borrows-the-reference": (submission(task_1=HEAD + BORROW), 10),
    "imports-the-reference": (submission(task_1=HEAD + IMPORT), 10),
    "hard-codes-the-visible": (
        submission(task_1=HEAD + f"    return {TABLE!r}.get(repr(float(policy.flat[0])), 0 * transition)"),
        11,
    ),
}
copied = inspect.getsource(ps01._weights).replace("_weights", "return_weights").replace("system", "matrix")
proof = submission()
for cell in proof.cells:
    if name_of(cell) == "task-4-answer":
        cell.source = "Proof of $V^\\pi\\le V^*$ <script>stolen()</script>"
CHEATS["script-in-a-proof"] = (proof, 14)
CHEATS["pastes-the-reference"] = (submission(task_1="Array = object\n" + copied), 14)
EVERYBODY = CLASS | HOSTILE | CHEATS


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """Release, collect, grade, give feedback."""
    root = tmp_path_factory.mktemp("course")
    shutil.copy(ROOT / "nbgrader_config.py", root)
    shutil.copytree(ROOT / "solutions" / NAME, root / "solutions" / NAME)
    for who in [*EVERYBODY, *RAW]:
        folder = root / "grading" / "submitted" / who / NAME
        folder.mkdir(parents=True)
        content = (
            nbformat.writes(EVERYBODY[who][0]).encode("utf-8", "surrogatepass") if who in EVERYBODY else RAW[who][0]
        )
        if content is not None:
            (folder / f"{NAME}.ipynb").write_bytes(content)
    return root


def run(course, *words):
    """Grade in this process, so that coverage sees it; return the exit status and the table."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        status = command_line.main(["grade", "ps01", "--course", str(course), *LIMITS, *words])
    return status, said.getvalue()


@pytest.fixture(scope="module")
def rows(course):
    """Return what the table says of each: score, seconds and remarks."""
    status, said = run(course)
    assert status == 1  # somebody has no score
    return parsed(said)


def parsed(table):
    found = {}
    for line in table.splitlines()[2:]:
        who, score, seconds, remarks = re.fullmatch(r"(\S+) +(no score|\S+/14) +([\d.]+) ?(.*)", line).groups()
        found[who] = (score.removesuffix("/14"), float(seconds), remarks.strip())
    return found


def test_nobody_is_lost(rows):
    assert set(rows) == set(EVERYBODY) | set(RAW)
    assert max(seconds for _, seconds, _ in rows.values()) < 110


@pytest.mark.parametrize("who", EVERYBODY)
def test_score(rows, who):
    score, _, remarks = rows[who]
    assert score == f"{EVERYBODY[who][1]}", remarks


@pytest.mark.parametrize("who", RAW)
def test_reason_in_place_of_a_score(rows, who):
    score, _, remarks = rows[who]
    assert score == "no score" and RAW[who][1] in remarks


@pytest.mark.parametrize(
    "who, said",
    [
        ("endless-loop", "return_weights was stopped: it took more than 12 seconds"),
        ("endless-cell", "a cell was stopped: it took more than 12 seconds"),
        ("memory-hog", "1200 MB of memory"),
        ("full-disk", "it wrote more than 60 MB to disk"),
        ("many-processes", "it started more than 20 processes"),
        ("aborts", "it ended its process"),
        ("edited-tests", "task-1-hidden was edited"),
        ("deleted-cells", "task-1-hidden was deleted"),
        ("duplicated-cells", "task-2-answer is there twice"),
        ("perfect", "same code as the solution: return_weights, upper_bound, is_optimal"),
        ("pastes-the-reference", "same code as pencourse.checks.ps01: return_weights"),
    ],
)
def test_remark(rows, who, said):
    assert said in rows[who][2]


def test_feedback_shows_no_hidden_test_and_no_answer(course, rows):
    command = [sys.executable, "-m", "nbgrader", "generate_feedback", NAME, "--force"]
    done = subprocess.run(command, cwd=course, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    solved = [line.strip() for source in (ANSWERS[name] for name in EASY) for line in source.splitlines()]
    secret = [line for line in solved if len(line) > 25 and not any(line in cell.source for cell in RELEASED.cells)]
    secret += ["seed=102", "seed=203", "BEGIN HIDDEN", "<script>stolen"]
    pages = sorted((course / "grading" / "feedback").glob(f"*/{NAME}/{NAME}.html"))
    assert [page.parts[-3] for page in pages] == sorted(rows)
    for page in pages:
        text = html.unescape(re.sub(r"<span[^>]*>|</span>", "", page.read_text(encoding="utf-8")))
        if page.parts[-3] == "empty":
            assert "The function is not written yet." in text
            assert not [line for line in secret if line in text]
        assert not [line for line in secret[-4:] if line in text], page
        assert "pencourse/checks" not in text
    said = (course / "grading" / "feedback" / "broken-json" / NAME / f"{NAME}.html").read_text(encoding="utf-8")
    assert "could not be graded: the file is not JSON" in said


def test_a_grade_by_hand_outlives_another_grading(course, rows):
    from nbgrader.api import Gradebook  # loaded here: it takes a second that most tests do not need

    with Gradebook(f"sqlite:///{course / 'grading' / 'gradebook.db'}") as book:
        assert book.find_submission_notebook(NAME, NAME, "script-in-a-proof").needs_manual_grade
        book.find_grade("task-4-answer", NAME, NAME, "script-in-a-proof").manual_score = 5
        book.db.commit()
    status, said = run(course, "--student", "script-in-a-proof")
    assert status == 0 and set(parsed(said)) == {"script-in-a-proof"}
    with Gradebook(f"sqlite:///{course / 'grading' / 'gradebook.db'}") as book:
        assert book.find_submission_notebook(NAME, NAME, "script-in-a-proof").score == 14 + 5


# A class's own copy


@pytest.fixture(scope="module")
def own_copy(tmp_path_factory):
    out = tmp_path_factory.mktemp("class")
    assert command_line.main(["class-copy", "ps01", "ps02", "--seed", "20260917-4711", "--out", str(out)]) == 0
    return out


def seeds(path):
    cells = nbformat.read(path, as_version=4).cells
    return [call.seed for cell in cells if judge.is_test(cell) for call in judge.calls(cell.source)]


@pytest.mark.parametrize("name", [NAME, "ps02_regularised_rl"])
def test_a_class_has_other_instances(own_copy, name):
    file = f"{name}/{name}.ipynb"
    public, private = seeds(ROOT / "solutions" / file), seeds(own_copy / "solutions" / file)
    assert len(private) == len(public) == len(set(private))
    assert not set(public) & set(private)
    assert set(seeds(own_copy / "exercises" / file)) < set(private)
    text = (own_copy / "exercises" / file).read_text(encoding="utf-8")
    assert not re.search("SOLUTION|HIDDEN|Rubric", text)
    other = class_copy.reseeded(nbformat.read(ROOT / "solutions" / file, as_version=4), name, "another")
    assert not set(private) & {call.seed for c in other.cells if judge.is_test(c) for call in judge.calls(c.source)}


@pytest.mark.parametrize("name", [NAME, "ps02_regularised_rl"])
def test_a_class_grades_answers_as_the_public_does(own_copy, name):
    module = name.split("_")[0]
    checks = importlib.import_module(f"pencourse.checks.{module}")
    source = nbformat.read(own_copy / "solutions" / name / f"{name}.ipynb", as_version=4)
    for cell in filter(judge.is_test, source.cells):
        for call in judge.calls(cell.source):
            getattr(checks, call.task)(getattr(checks, call.task).reference, seed=call.seed)
            for wrong in importlib.import_module(f"wrong_answers.{module}").WRONG_ANSWERS:
                if wrong.task == call.task:
                    with pytest.raises(Wrong) as said:
                        getattr(checks, call.task)(wrong.function, seed=call.seed)
                    assert str(said.value) == wrong.message


def test_public_numbers_are_worth_nothing_in_a_class(own_copy):
    """A table of the public tests' results, visible and hidden, as anybody can make it."""
    known = {}
    for seed in seeds(ROOT / "solutions" / NAME / f"{NAME}.ipynb")[:4]:
        for instance in ps01.return_weights.draw(np.random.default_rng(seed)):
            known[instance.arguments[1].tobytes()] = ps01.return_weights.reference(*instance.arguments)

    def tabled(transition, policy, initial, discount):
        return known.get(policy.tobytes(), 0 * transition)

    for seed in seeds(ROOT / "solutions" / NAME / f"{NAME}.ipynb")[:4]:
        ps01.return_weights(tabled, seed=seed)
    for seed in seeds(own_copy / "solutions" / NAME / f"{NAME}.ipynb")[:4]:
        with pytest.raises(Wrong):
            ps01.return_weights(tabled, seed=seed)


@pytest.mark.skipif(os.name != "posix", reason="the rights of a folder that a container mounts")
def test_a_copy_is_for_its_owner(monkeypatch, tmp_path):
    monkeypatch.setattr(class_copy.repository, "solutions", list)
    arguments = argparse.Namespace(out=str(tmp_path / "class"), seed="20260917-4711", names=[])
    assert class_copy.class_copy(arguments) == 0
    assert stat.S_IMODE((tmp_path / "class").stat().st_mode) == 0o700


def test_a_copy_is_not_written_over(own_copy):
    with pytest.raises(SystemExit, match="is there already"):
        command_line.main(["class-copy", "--seed", "1", "--out", str(own_copy)])


# Parts


def test_a_test_cell_that_does_more_is_not_judged():
    assert judge.calls("from x import y\nchecks.f(g, seed=3)") == [judge.Call("f", "g", 3)]
    for more in ("assert g() == 3", "checks.f(g)\nprint(g)", "checks.f(g())"):
        with pytest.raises(judge.Unknown, match="more than calls of checks"):
            judge.calls(more)


def test_code_is_the_same_whatever_its_names():
    one = """
def f(x: int, y):
    'Say it.'
    total = x * y + np.sum(x)  # why
    for k in range(3):
        total += k * x[k] - y[k]
    return total / (2 + y.sum())
"""
    two = one.replace("total", "result").replace("x", "a").replace(": int", "").replace("Say", "Do").replace("f(", "g(")
    three = one.replace("- y", "+ y")
    first, second, third = (dict(inside.fingerprints(ast.parse(code))) for code in (one, two, three))
    assert first["f"] == second["g"] != third["f"]
    short = "def flip(discount, found, laid_off, ended, pay):\n"
    short += "    return discount * (found - laid_off) * pay / (1 - discount + discount * (found + ended))"
    assert not dict(inside.fingerprints(ast.parse(short)))  # there is no other way to write it


def test_cells_are_read_before_they_run():
    found = inside.facts(["def f(x):\n    %time y = g(x)\n    return y", "return ]", "def f(x):\n    return h(x)"])
    assert {"get_ipython", "h"} <= set(found["names"]["f"]) and found["prints"] == []


def test_what_a_function_sends_is_numbers():
    def sent(value):
        header, raw = inside.called(lambda: value, (), np.asarray)
        return student.value(header, raw)

    assert sent(None) is None
    assert sent(True).dtype == bool and sent(3).dtype == float
    assert np.array_equal(sent([Fraction(1, 2), 1]), [0.5, 1.0])
    assert type(sent("text")).__name__ == "str" and type(sent([[1], [1, 2]])).__name__ == "list"
    assert type(student.value({"dtype": "<f8", "shape": [3]}, b"")).__name__ == "thing"
    header, _ = inside.called(lambda: 1 / 0, (), np.asarray)
    assert (header["raised"], header["said"]) == ("ZeroDivisionError", "division by zero") and header["line"] > 1


def test_names_that_a_task_forbids_are_seen_from_outside():
    with student.Student(["def f(x):\n    return (lambda: pc.solve(x))()"], student.Limits()) as answers:
        answers.start()
        assert judge.Answer(answers, "f", 0.0).__code__.co_names == ("pc", "solve")
        assert judge.Answer(answers, "g", 0.0).__code__.co_names == ()


def first_task(answer):
    """Judge the first task of problem set 01 alone; return its two test cells and the remarks."""
    wanted = ("imports", "task-1-answer", "task-1-test", "task-1-hidden")
    source, released = deepcopy(SOLUTION), deepcopy(RELEASED)
    for one in (source, released):
        one.cells = [cell for cell in one.cells if name_of(cell) in wanted]
    rebuilt, _ = notebook.rebuild(changed(released, task_1_answer=answer), [])
    remarks = judge.judge(source, rebuilt, "ps01", student.Limits())
    return [cell for cell in rebuilt.cells if judge.is_test(cell)], remarks


def test_tests_that_were_not_released_decide():
    """An answer that knows what the released file asks, visible tests and the hidden cell's first, and nothing more."""
    table = {}
    for seed in seeds(ROOT / "exercises" / NAME / f"{NAME}.ipynb")[:2]:
        for instance in ps01.return_weights.draw(np.random.default_rng(seed)):
            right = ps01.return_weights.reference(*instance.arguments)
            table[instance.arguments[1].tobytes()] = right.tolist()
    body = f"    return np.array({table!r}.get(policy.tobytes(), 0 * transition))"
    (visible, hidden), remarks = first_task(HEAD + body)
    assert [output.output_type for output in visible.outputs] == ["stream"]
    assert [output.output_type for output in hidden.outputs] == ["error"]  # this is what nbgrader gives 0 for
    assert remarks == []


def test_a_function_that_ends_its_process_is_not_right():
    tests, remarks = first_task(HEAD + "    import os\n    os._exit(0)")
    said = [output.get("evalue") for cell in tests for output in cell.outputs]
    assert said == ["The function was stopped: it ended its process."] * 2
    assert remarks == ["return_weights was stopped: it ended its process"]


def test_the_solution_is_right_and_recognised():
    tests, remarks = first_task(re.sub(r"\boccupancy\b", "found", ANSWERS["task-1-answer"]))
    assert [cell.outputs[0].output_type for cell in tests] == ["stream"] * 2
    assert remarks == ["same code as the solution: return_weights"]


@pytest.mark.parametrize(
    "limits, said",
    [({}, "seconds"), ({"memory": 20}, "20 MB of memory"), ({"disk": 1}, "1 MB to disk")],
    ids=["time", "memory", "disk"],
)
def test_what_takes_more_than_it_may_is_stopped(limits, said):
    cell = "import time\ndef f():\n    open('file', 'wb').write(bytes(3_000_000))\n    time.sleep(1.5)\n    return 1.0"
    with student.Student([cell], student.Limits()) as answers:
        answers.start()
        answers.limits = student.Limits(**limits)  # now, so that it has had the time and the room to begin
        with pytest.raises(student.Lost, match=said):
            answers.call("f", (), 9.0 if limits else 0.5)


def test_the_references_are_not_where_students_code_runs():
    cell = "def f():\n    from pencourse.checks.ps01 import return_weights\n    return 1.0"
    with student.Student([cell], student.Limits()) as answers:
        assert answers.call("f", (), 30.0)[0].get("raised") == "ModuleNotFoundError"


def test_a_locked_cell_is_as_released_and_the_last_answer_counts():
    handed_in = changed(deepcopy(RELEASED), task_1_test="print('right')", task_1_answer="first = 1")
    handed_in.cells.append(new_code_cell("last = 1", metadata={"nbgrader": {"grade_id": "task-1-answer"}}))
    for cell in handed_in.cells:
        cell.known = [name_of(cell)]
    rebuilt, remarks = notebook.rebuild(RELEASED, handed_in.cells)
    found = {name_of(cell): cell.source for cell in rebuilt.cells if name_of(cell)}
    assert found["task-1-test"] == "checks.return_weights(return_weights)" and found["task-1-answer"] == "last = 1"
    assert set(remarks) == {"task-1-test was edited", "task-1-answer is there twice, the last counts"}


def test_a_file_that_is_no_notebook_earns_nothing():
    page = grade._not_graded(RELEASED, "the file is not JSON")
    outputs = [[output.output_type for output in cell.outputs] for cell in page.cells if judge.is_test(cell)]
    assert outputs == [["error"]] * 6
    assert "could not be graded: the file is not JSON" in page.cells[0].source


def test_html_in_a_proof_is_text(tmp_path):
    path = tmp_path / "proof.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": "$a<b$ <script>stolen()</script>"}]}))
    (cell,) = notebook.cells(path)
    assert cell.source == "$a< b$ < script>stolen()< /script>"


def one_test(source):
    settings = {"grade": True, "grade_id": "test", "points": 1}
    return nbformat.v4.new_notebook(cells=[new_code_cell(source, metadata={"nbgrader": settings})])


def test_every_call_gets_a_seed_that_depends_on_the_secret():
    calls = "checks.return_weights(f)\nchecks.return_weights(f, seed=102)"

    def drawn(secret):
        return [call.seed for call in judge.calls(class_copy.reseeded(one_test(calls), NAME, secret).cells[0].source)]

    assert drawn("one") == drawn("one") and len({*drawn("one"), *drawn("another")}) == 4
    with pytest.raises(ValueError, match="not recognised"):
        class_copy.reseeded(one_test(calls + "\nchecks.return_weights(f,  seed=103)"), NAME, "one")


def test_a_seed_is_taken_only_if_every_mistake_hears_its_sentence():
    """Below 1/2 both mistakes answer 0, and the second hears the sentence of the first."""
    task = Task(
        lambda x: x**2,
        lambda rng: [Instance("a number", (rng.random(),))],
        [Mistake("Rounded.", lambda x: np.round(x)), Mistake("No square.", lambda x: x if x > 0.5 else 0.0)],
    )
    for k in range(8):
        seed = class_copy.good_seed(task, np.random.default_rng(k))
        assert np.random.default_rng(seed).random() > 0.5


@pytest.mark.skipif(os.name != "posix", reason="another user is asked for in the container only")
def test_another_user_reads_the_cells_that_only_root_reads(monkeypatch, tmp_path):
    """The container's recipe takes the commands away from all but root, and a copy of one of them runs the cells."""
    private = tmp_path / "cells.py"
    shutil.copy(inside.__file__, private)
    private.chmod(0o600)
    monkeypatch.setattr(inside, "__file__", str(private))
    with student.Student([], student.Limits()) as answers:
        answers.start()
        modes = [path.stat().st_mode for path in (answers._folder, answers._folder / "cells.py")]
    assert all(mode & stat.S_IROTH for mode in modes)


def test_what_is_not_the_students_fault_is_no_score(course, monkeypatch, tmp_path):
    broken = tmp_path / "cells.py"
    broken.write_text("import package_that_is_missing")
    monkeypatch.setattr(inside, "__file__", str(broken))
    status, said = run(course, "--student", "perfect")
    ((score, _, remark),) = parsed(said).values()
    assert (status, score) == (1, "no score") and "No module named 'package_that_is_missing'" in remark


def test_nobody_has_handed_in(course):
    assert run(course, "--student", "nobody")[0] == 1


def test_old_and_odd_notebooks_are_read(tmp_path):
    path = tmp_path / "old.ipynb"

    def written(content):
        path.write_text(json.dumps(content))
        return notebook.cells(path)

    with pytest.raises(notebook.Unreadable, match="the file is JSON, but no notebook"):
        written({})
    (cell,) = written({"worksheets": [{"cells": [{"cell_type": "code", "input": ["a\n", "b"]}, 3]}]})
    assert cell.source == "a\nb"
    assert notebook.find(tmp_path, NAME) == (path, "the file is called old.ipynb")
    odd = {"cell_type": "markdown", "source": 5, "metadata": 7}
    (cell,) = written({"cells": [odd | {"attachments": {"a": {"image/png": "x", "text/html": "y"}, "b": 1}}]})
    assert (cell.source, cell.attachments) == ("5", {"a": {"image/png": "x"}})
