"""The list of planted mistakes is sound, and no certificate stands without one; `make mutants` plants them."""

import ast
import itertools
import shutil
from pathlib import Path

import mutants
import nbformat
import pytest
import slices

ROOT = Path(__file__).resolve().parents[1]
MUTATIONS = mutants.read()
CERTIFICATES = [
    f"{path.stem}#{cell.id}"
    for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
    for cell in nbformat.read(path, as_version=4).cells
    if "certificate" in cell.metadata.get("tags", [])
]
each = pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.breaks)


@each
def test_it_can_be_planted(mutation, tmp_path):
    """`old` stands exactly once in a file of the package, and the broken file is Python still."""
    path = Path(mutation.file)
    assert path.parts[0] == "pencourse" and (ROOT / path).is_file()
    copy = tmp_path / path
    copy.parent.mkdir(parents=True)
    copy.write_text((ROOT / path).read_text(encoding="utf-8"), encoding="utf-8")
    mutation.plant(tmp_path)
    ast.parse(copy.read_text(encoding="utf-8"))


@each
def test_it_names_who_notices(mutation):
    assert mutation.breaks.strip() and mutation.certificates + mutation.tests
    for name in mutation.tests:
        path, function = name.split("[")[0].split("::")
        assert f"def {function}(" in (ROOT / path).read_text(encoding="utf-8"), name
    assert set(mutation.certificates) <= set(CERTIFICATES)


@pytest.mark.parametrize("certificate", CERTIFICATES)
def test_every_certificate_is_known_to_fail_under_a_mistake(certificate):
    known = {name for mutation in MUTATIONS for name in mutation.certificates}
    assert certificate in known, f"no entry of mutations.toml names {certificate}"


def test_every_mistake_stands_once():
    for first, second in itertools.combinations(MUTATIONS, 2):
        same = (first.file, first.old, first.new) == (second.file, second.old, second.new)
        assert not same, f"{first.breaks!r} and {second.breaks!r} are one mistake; name all that notice it in one entry"


def test_the_table_counts_each_part_of_the_theory():
    counted = [
        line.split() for line in mutants.table(MUTATIONS, [m for m in MUTATIONS if "T10" in m.breaks][:1]).splitlines()
    ]
    assert [row[0] for row in counted[1:-1]] == list(mutants.THEORY)
    mistakes, caught = ([int(row[k]) for row in counted[1:]] for k in (-4, -3))
    assert sum(mistakes) == len(MUTATIONS) and min(mistakes) >= 3
    assert [a - b for a, b in zip(mistakes, caught, strict=True)] == [0] * 10 + [1, 0]


def test_the_runner_refuses_what_cannot_be_planted(tmp_path):
    (tmp_path / "pencourse").mkdir()
    (tmp_path / "pencourse" / "m.py").write_text("a = 1\na = 1\n")
    for old, new, said in (("b", "c", "0 times"), ("a", "c", "2 times"), ("a = 1\na", "a = 1\na", "the same")):
        with pytest.raises(ValueError, match=said):
            mutants.Mutation("x", "pencourse/m.py", old, new).plant(tmp_path)
    with pytest.raises(ValueError, match=r"0 times in pencourse/none\.py"):
        mutants.Mutation("x", "pencourse/none.py", "a", "b").plant(tmp_path)


LESSON = {
    "imports": "import numpy as np\nimport pencourse as pc",
    "slider-x": "raise RuntimeError('sliders are left out')",
    "certificate-one": "assert pc.simplex.uniform_policy(1, 2)[0, 0] == 0.5\nfound = 1",
    "certificate-two": "assert pc.MDP is not None\nassert found == 1",
    "between": "half = pc.simplex.uniform_policy(1, 2)[0, 0]\n1 // int(4 * half - 1)",
    "certificate-three": "assert half > 0",
}


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A repository with one small lesson and one small test beside the package as it is."""
    cells = []
    for identifier, source in LESSON.items():
        cell = nbformat.v4.new_code_cell(source, id=identifier)
        cell.metadata["tags"] = [tag for tag in ("slider", "certificate") if identifier.startswith(tag)]
        cells.append(cell)
    (tmp_path / "notebooks").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "77_stand_in.ipynb")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_stand_in.py").write_text(
        "import pytest\nfrom pencourse.simplex import uniform_policy\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_half(n):\n    assert uniform_policy(1, n)[0, 0] == 1 / n\n"
        "def test_other():\n    assert uniform_policy(1, 2).shape == (1, 2)\n"
    )
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "pencourse").symlink_to(ROOT / "pencourse")
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    return tmp_path


def planted(new, certificates=(), tests=()):
    certificates = tuple(f"77_stand_in#certificate-{name}" for name in certificates)
    tests = tuple(f"tests/test_stand_in.py::{name}" for name in tests)
    return mutants.Mutation("stand-in", "pencourse/simplex.py", "1.0 / n_actions)", new, certificates, tests)


def test_the_runner_tells_a_failed_assertion_from_all_else(stand_in):
    sound = planted("1.0 / n_actions)", ["one", "two", "three"], ["test_half", "test_other"])
    assert mutants.unbroken(sound.certificates, ()) == mutants.unbroken((), sound.tests) == []
    (failed,) = mutants.unbroken(["77_stand_in#certificate-three", "77_stand_in#certificate-four"], ())
    assert "certificate-four: there is no such cell" in failed

    _, complaints = mutants.judge(planted("0.5 / n_actions)", ["one"], ["test_half", "test_half[2]"]))
    assert complaints == []
    # The second certificate needs what the first would have defined; the third passes behind a cell that fails.
    _, complaints = mutants.judge(planted("0.5 / n_actions)", ["two", "three", "four"], ["test_other"]))
    two, three, four, other = complaints
    assert "certificate-two: NameError (name 'found' is not defined)" in two
    assert "certificate-three: passed, after cell between ended in ZeroDivisionError" in three
    assert "certificate-four: there is no such cell" in four
    assert "test_other: passed" in other
    _, (broken,) = mutants.judge(planted("1.0 / n_actions", ["one"]))
    assert "not reached: it ended with status 1; SyntaxError" in broken
    _, (unplanted,) = mutants.judge(mutants.Mutation("x", "pencourse/simplex.py", "nowhere", "there"))
    assert unplanted == "its old text stands 0 times in pencourse/simplex.py; allowed is once"
    assert mutants.judge(planted("2.0 / n_actions)"))[1] == ["it names neither a certificate nor a test"]


def test_a_certificate_runs_with_the_cells_it_needs_and_no_others():
    cells = [
        "import numpy as np\nrng = np.random.default_rng(0)",
        "def twice(x):\n    return scale * x",  # scale comes later
        "scale = 2",
        "picture = [twice(k) for k in range(3)]",
        "table = {}\nfor name in ('a', 'b'):\n    total = 0\n    table[name] = total",
        "table['c'] = rng.random()",
        "total = 1\ntable.update(d=total)",
        "if total > 1:\n    scale = 3",
        "assert twice(1) == 2",
        "assert len(table) == 4",
        "table['e'] = rng.random()",
        "k = 5\nassert sum(k for k in range(3)) == 3 and k == 5",
    ]
    for wanted, others in ((8, [1, 2, 4, 6, 7]), (9, [0, 4, 5, 6]), (10, [0, 4, 5]), (11, [])):
        assert slices.needed(cells, [wanted]) == [*others, wanted]
    assert slices.needed(cells, [9, 11]) == [0, 4, 5, 6, 9, 11]


def test_the_unbroken_package_is_tried_with_the_cells_of_each_mistake(stand_in):
    one, two, three = (f"77_stand_in#certificate-{name}" for name in ("one", "two", "three"))
    tried = mutants.ways([planted("x", ["one"]), planted("y", ["two"]), planted("z", ["three"])])
    assert sorted(map(sorted, tried)) == [[one, two], [three]]  # the second needs what the first defines


def test_a_loop_without_end_is_ended(stand_in, monkeypatch):
    monkeypatch.setattr(mutants, "SECONDS", 4)
    _, (complaint,) = mutants.judge(planted("1.0 / next(k for k in iter(int, 1) if k))", ["one"]))
    assert "certificate-one: not reached: no end within 4 s" in complaint


def test_words_choose():
    found = mutants.select(MUTATIONS, ["regularizers.py"])
    assert found and all("regularizers.py" in mutation.file for mutation in found)
    assert mutants.select(MUTATIONS, []) == MUTATIONS
    with pytest.raises(SystemExit, match=r"No entry of mutations\.toml holds no-such-word"):
        mutants.main(["no-such-word"])
