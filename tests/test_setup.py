"""What a newcomer meets first: the Makefile, the environments, the README's commands."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from rattler import MatchSpec

import pencourse.__main__ as command_line
from pencourse.commands import lab

ROOT = Path(__file__).resolve().parents[1]
NOT_CLONED = (".venv", ".git", "grading", "build", "__pycache__", "*.egg-info", ".*_cache", ".ipynb_checkpoints")
# conda-forge's name where it differs from PyPI's: these two leave out what only a desktop or statsmodels needs.
CONDA_NAMES = {"matplotlib": "matplotlib-base", "seaborn": "seaborn-base"}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def environment():
    return yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of the repository without what git ignores."""
    folder = tmp_path_factory.mktemp("clone") / "pencourse"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_CLONED))
    return folder


def conda_specs(environment):
    return [spec for spec in environment["dependencies"] if isinstance(spec, str)]


def test_environment_and_pyproject_agree(project, environment):
    extras = project["optional-dependencies"]
    wanted = map(Requirement, project["dependencies"] + extras["course"] + extras["classroom"])
    wanted = {CONDA_NAMES.get(each.name, each.name): each.specifier for each in wanted}
    given = [spec for spec in conda_specs(environment) if spec not in ("python=3.11", "pip")]
    assert {each.name: each.specifier for each in map(Requirement, given)} == wanted


def test_environment_has_one_python_and_the_package(environment):
    assert environment["name"] == "pencourse"
    assert environment["channels"] == ["conda-forge"]
    assert conda_specs(environment)[:2] == ["python=3.11", "pip"]
    assert environment["dependencies"][-1] == {"pip": ["-e ."]}


def test_conda_can_read_every_spec(environment):
    for spec in conda_specs(environment):
        match = MatchSpec(spec, strict=True)
        assert spec == "pip" or match.version


def test_binder_accepts_the_repository(clone):
    """Without Docker, --no-build still chooses how to build and writes the Dockerfile."""
    command = [sys.executable, "-m", "repo2docker", "--no-build", str(clone)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stderr
    assert 'env update -p ${NB_PYTHON_PREFIX} --file "environment.yml"' in built.stdout
    assert "Building conda environment for python=3.11\n" in built.stderr
    assert "RUN ./postBuild" in built.stdout


def test_binder_opens_the_welcome_notebook():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (page,) = re.findall(r"\(https://mybinder\.org/v2/gh/[\w/-]+/HEAD\?urlpath=(\S+)\)", text)
    assert f"/{page}" == lab.WELCOME
    assert (ROOT / page.removeprefix("lab/tree/")).is_file()


def test_binder_prepares_what_would_stand_before_the_welcome_notebook(tmp_path):
    """The script is run, but for `jupyter`, which would change the environment of the tests."""
    asked = tmp_path / "asked"
    (tmp_path / "jupyter").write_text(f'#!/bin/sh\necho "$@" > {asked}\n')
    (tmp_path / "jupyter").chmod(0o755)
    path = os.pathsep.join([str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]])
    env = os.environ | {"PATH": path, "MPLCONFIGDIR": str(tmp_path)}
    subprocess.run([ROOT / "postBuild"], cwd=ROOT, env=env, check=True, timeout=300)
    assert asked.read_text() == f"labextension disable {lab.ANNOUNCEMENTS}\n"
    assert list(tmp_path.glob("fontlist*.json"))


def test_binder_gets_what_lessons_and_problem_sets_need_and_nothing_else(project, environment):
    names = {re.match(r"[\w-]+", spec)[0] for spec in conda_specs(environment)}
    extras = project["optional-dependencies"]
    for extra in ("bench", "test", "site"):
        assert not names & {Requirement(each).name for each in extras[extra]}, extra


def test_constraints_hold_versions_only(project):
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line) for line in lines]
    for line, pin in zip(lines, pinned, strict=True):
        assert re.fullmatch(r"[a-z0-9-]+==[0-9a-z.]+( ; .+)?", line)
        assert not pin.url
    extras = project["optional-dependencies"].values()
    for each in map(Requirement, itertools.chain(project["dependencies"], *extras)):
        versions = [pin.specifier for pin in pinned if pin.name == each.name]
        assert versions and all(each.specifier.contains(str(pin).removeprefix("==")) for pin in versions), each


def test_readme_gives_the_commands():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    commands = [line.strip() for line in lines if line.startswith("    ")]
    assert commands.count("make lab") == commands.count("make test") == 1
    assert r".venv\Scripts\python -m pencourse lab" in commands
    assert "conda env create -f environment.yml" in commands


def test_commands_without_make_exist():
    """Every `python -m pencourse …` of the README, indented or in a sentence, is a command with those flags."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = [*re.findall(r"^    .*python -m pencourse (.+)$", text, re.MULTILINE)]
    found += re.findall(r"`python -m pencourse ([^`]+)`", text)
    given = [command_line.parser().parse_args(words.split()).call for words in found]
    assert {"lab:lab", "lessons:course", "learner:command", "reproduce:reproduce"} <= set(given)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "LICENSE-PROSE.md"])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_lessons_are_all_on_the_map():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \[?(\d\d) ", text, re.MULTILINE) == [f"{number:02d}" for number in range(15)]
    assert re.findall(r"\(notebooks/(\d\d)_\w+\.ipynb\)", text) == sorted(
        path.name[:2] for path in (ROOT / "notebooks").glob("*.ipynb")
    )


def test_citation(project):
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["version"] == project["version"]
    (paper,) = citation["references"]
    assert [author["family-names"] for author in paper["authors"]] == ["Shen", "Yang", "Chen"]
    assert "2402.06886" in paper["url"]


PYTHON = """\
#!/bin/sh
case "$*" in
  *version_info*) echo {version} ;;
  *ensurepip*) {venv} ;;
  *-m\\ venv*)
    mkdir -p .venv/bin && cp "$0" .venv/bin/python && touch .venv/bin/pip ;;
  *-m\\ pip*) echo "$*" >> log && test ! -e offline ;;
  *) echo "$*" >> log ;;
esac
"""


@pytest.fixture
def make(tmp_path):
    """Run make where `python` made each Python, and see what it ran: the environment's Python only logs."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)

    def python(name, version, venv="true"):
        path = tmp_path / name
        path.write_text(PYTHON.format(version=version, venv=venv))
        path.chmod(0o755)
        return path

    def run(*words):
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        done = subprocess.run(["make", *words], cwd=tmp_path, capture_output=True, text=True)
        return done, log.read_text().splitlines() if log.exists() else []

    run.python, run.folder = python, tmp_path
    return run


def test_make_explains_an_unsuitable_python(make):
    old, new = make.python("old", "3.10"), make.python("new", "3.14")
    done, log = make("lab", f"PYTHON={old} {new} ./none")
    assert done.returncode != 0 and log == []
    expected = "The course needs Python 3.11, 3.12 or 3.13 on the PATH; there is none."
    assert f"{expected} {old} is 3.10. {new} is 3.14.\n" in done.stderr


def test_make_explains_a_missing_venv(make):
    done, log = make("lab", f"PYTHON={make.python('bare', '3.12', venv='false')}")
    assert done.returncode != 0 and log == []
    assert "on Debian and Ubuntu, apt install python3.12-venv brings it" in done.stderr


def test_make_installs_once_and_passes_flags_on(make):
    old, good = make.python("old", "3.9"), make.python("good", "3.13")
    words = ["lab", f"PYTHON={old} {good}", "LAB_FLAGS=--no-browser --port=8899"]
    started = "-m pencourse lab -- --no-browser --port=8899"
    install = "-m pip install --quiet --constraint constraints.txt --editable .[course]"
    assert make(*words)[1] == [install, started]
    assert make(*words)[1] == [started]
    assert make("course", "LESSONS=01 02")[1] == ["-m pencourse course 01 02"]
    (make.folder / "constraints.txt").write_text("# changed\n")
    assert make(*words)[1] == [install, started]


def test_make_installs_again_after_an_install_that_failed(make):
    good, offline = make.python("good", "3.11"), make.folder / "offline"
    offline.touch()
    done, log = make("lab", f"PYTHON={good}")
    assert done.returncode != 0 and len(log) == 1
    offline.unlink()
    assert len(make("lab", f"PYTHON={good}")[1]) == 2


def test_make_test_installs_what_the_tests_need(make):
    done, log = make("browser", f"PYTHON={make.python('good', '3.11')}")
    assert done.returncode == 0
    assert log[0].endswith(".[course,classroom,test,site]") and log[1] == "tests/chromium.py"


def test_make_help_names_every_target(make):
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (targets,) = re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    shown = re.findall(r"^make ([\w-]+)", make()[0].stdout, re.MULTILINE)
    assert shown == targets.split()
