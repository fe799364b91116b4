"""The library is built in floors: who imports whom, and how much of it there is."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pencourse

PACKAGE = Path(pencourse.__file__).parent
# Each module may import what stands in a line above its own.
FLOORS = [
    ["typing"],
    ["validation"],
    ["simplex"],
    ["regularizers"],
    ["models"],
    ["evaluation"],
    ["planning", "sampling"],
    ["equilibria"],
    ["bilevel"],
    ["penalties", "cases"],
    ["descent", "baselines"],
]
GROUND = {"typing", "validation", "simplex", "regularizers", "models"}
# Beside the floors: what each may import.
BESIDE = {
    "exact": {"models", "typing"},
    "worlds": GROUND,
    "plots": {"typing"},
    "checks": {name for floor in FLOORS for name in floor} | {"worlds", "exact"},
    "commands": {name for floor in FLOORS for name in floor} | {"worlds", "exact", "plots", "checks"},
}
ALLOWED = BESIDE | {
    name: {lower for floor in FLOORS[:k] for lower in floor} for k, names in enumerate(FLOORS) for name in names
}
ALLOWED["baselines"] |= {"exact"}  # what fits a reward and then plans is given the best fit there is
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
ROOMS = [path for path in MODULES if path.name not in {"__main__.py"} and str(path) != "__init__.py"]


def room(path):
    """Return the module's name within the package: `exact` for exact/mdp.py."""
    return path.parts[0].removesuffix(".py")


def imported(path):
    """Return the modules of the package that a file imports, at the top or inside a function."""
    package = ["pencourse", *path.parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    names = {name.split(".")[1] for name in found if name.startswith("pencourse.")}
    return names | ({"pencourse"} & found)


@pytest.mark.parametrize("path", ROOMS, ids=str)
def test_a_module_imports_only_from_below(path):
    name = room(path)
    assert name in ALLOWED, f"{path} stands on no floor: give it one in this test"
    allowed = ALLOWED[name] | ({name} if len(path.parts) > 1 else set())
    if name in {"checks", "commands"}:
        allowed |= {imported_name for imported_name in imported(path) if imported_name in pencourse.__all__}
    assert imported(path) <= allowed


def test_the_referee_shares_nothing_with_what_it_checks():
    for path in ROOMS:
        if room(path) == "exact":
            assert imported(path) <= {"models", "typing", "exact"}


def test_the_test_sees_imports(tmp_path, monkeypatch):
    (tmp_path / "exact").mkdir()
    source = "from ..planning import solve\nfrom . import mdp\nimport pencourse.plots\nfrom pencourse import worlds\n"
    (tmp_path / "exact" / "bad.py").write_text(source)
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    assert imported(Path("exact/bad.py")) == {"planning", "exact", "plots", "worlds"}


def test_importing_the_package_stays_quick():
    """cvxpy, matplotlib and the rest load on first use."""
    heavy = ["cvxpy", "matplotlib", "seaborn", "gymnasium", "IPython", "pandas", "ipywidgets"]
    ask = f"import sys, pencourse; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["exact", "plots", "worlds", "checks"])
def test_modules_load_on_first_use(name):
    assert getattr(pencourse, name).__name__ == f"pencourse.{name}"


def test_all_names_are_there_and_no_other():
    for name in pencourse.__all__:
        assert getattr(pencourse, name) is not None
    with pytest.raises(AttributeError, match="'pencourse' has no attribute 'nothing'"):
        _ = pencourse.nothing


def without_docstrings(path):
    """Count the lines of a module that are neither docstring nor blank."""
    text = (PACKAGE / path).read_text(encoding="utf-8")
    inside = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            inside |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return sum(1 for k, line in enumerate(text.splitlines(), start=1) if line.strip() and k not in inside)


# A problem set's reference answers and mistakes are a list, as long as it has tasks.
@pytest.mark.parametrize("path", [path for path in MODULES if not path.match("checks/ps*.py")], ids=str)
def test_a_module_fits_in_the_head(path):
    assert len((PACKAGE / path).read_text(encoding="utf-8").splitlines()) < 300


def test_the_library_is_read_in_an_afternoon():
    sizes = {path: without_docstrings(path) for path in MODULES if room(path) not in {"checks", "commands", "__main__"}}
    referee = sum(size for path, size in sizes.items() if room(path) == "exact")
    assert referee < 650
    assert sum(sizes.values()) - referee < 3000
