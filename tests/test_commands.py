"""``python -m pencourse lab``, ``course`` and ``execute``."""

from __future__ import annotations

import importlib
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from serving import jupyterlab

import pencourse.__main__ as command_line
from pencourse.commands import lab, lessons, repository

PACKAGE = Path(repository.__file__).parents[1]


def certificate(source):
    return new_code_cell(source, metadata={"tags": ["certificate"]})


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository with a lesson that runs, one that fails in its second of three certificates, and a solution."""
    good = [
        new_markdown_cell("# Good"),
        new_code_cell("import ipywidgets\n\nipywidgets.IntSlider(value=3)"),
        certificate("memory = bytearray(200_000_000)\nprint(len(memory))"),
    ]
    bad = [certificate("pass"), certificate("1 / 0"), certificate("pass")]
    sources = {"notebooks/00_good": good, "notebooks/01_bad": bad, "solutions/ps01_sum/ps01_sum": good[:1]}
    for name, cells in sources.items():
        path = tmp_path / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(new_notebook(cells=cells), path)
    monkeypatch.setattr(repository, "ROOT", tmp_path)
    return tmp_path


def test_course_tables_every_lesson_and_changes_none(root, capsys):
    before = {path: path.read_bytes() for path in root.rglob("*.ipynb")}
    assert command_line.main(["course"]) == 1
    head, good, bad, _, error = capsys.readouterr().out.splitlines()
    assert head.split() == ["lesson", "seconds", "peak", "MB", "certificates"]
    name, seconds, megabytes, held = good.split()
    assert (name, held) == ("00_good", "1/1")
    assert 0 < float(seconds) < 60
    assert 200 < float(megabytes) < 600  # the lesson holds 200 MB itself
    assert bad.split()[0] == "01_bad" and bad.split()[3:] == ["1/3", "FAILED"]
    assert error == "01_bad: code cell 2, '1 / 0': ZeroDivisionError: division by zero"
    assert {path: path.read_bytes() for path in root.rglob("*.ipynb")} == before


def test_course_runs_the_lessons_that_are_named(root, capsys):
    assert command_line.main(["course", "00"]) == 0
    assert "01_bad" not in capsys.readouterr().out


def test_course_writes_what_it_measured_and_keeps_the_rows_of_others(root, capsys):
    path = root / "times.csv"
    path.write_text("lesson,seconds,peak_mb,certificates\n01_bad,7,8,9\n02_other,1,2,3\n")
    assert command_line.main(["course", "--out", str(path)]) == 1  # 01 fails, so its row stays
    head, good, *others = path.read_text().splitlines()
    assert head == "lesson,seconds,peak_mb,certificates" and others == ["01_bad,7,8,9", "02_other,1,2,3"]
    name, seconds, megabytes, certificates = good.split(",")
    assert (name, certificates) == ("00_good", "1") and 200 < int(megabytes) < 600 and int(seconds) < 60
    assert command_line.main(["course", "00", "--out", str(root / "new.csv")]) == 0
    assert len((root / "new.csv").read_text().splitlines()) == 2


def test_a_name_that_no_lesson_has(root):
    with pytest.raises(SystemExit, match="No notebook begins with 07; there are 00_good, 01_bad"):
        command_line.main(["course", "07"])


def test_no_lessons_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(repository, "ROOT", tmp_path)
    with pytest.raises(SystemExit, match="There are no lessons"):
        command_line.main(["course"])


def test_execute_stores_the_same_bytes_again(root, capsys):
    good, bad, solution = (root / name for name in ("notebooks/00_good", "notebooks/01_bad", "solutions/ps01_sum"))
    good, bad, solution = good.with_suffix(".ipynb"), bad.with_suffix(".ipynb"), solution / "ps01_sum.ipynb"
    old = bad.read_bytes()
    assert command_line.main(["execute"]) == 1
    assert "01_bad.ipynb is left as it was: code cell 2" in capsys.readouterr().out
    assert bad.read_bytes() == old
    first = good.read_bytes()
    assert b"execution_count" in first and first.endswith(b"}\n")
    assert command_line.main(["execute", "00", "ps01"]) == 0
    assert good.read_bytes() == first
    assert "kernelspec" in nbformat.read(solution, as_version=4).metadata


def test_execute_drops_versions_times_and_widgets(root):
    path = root / "notebooks" / "00_good.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].metadata.execution = {"iopub.execute_input": "a time"}
    nbformat.write(notebook, path)
    assert command_line.main(["execute", "00"]) == 0
    notebook = nbformat.read(path, as_version=4)
    assert "execution" not in notebook.cells[1].metadata
    assert "version" not in notebook.metadata.language_info
    assert "widgets" not in notebook.metadata and notebook.cells[1].outputs == []


def test_a_kernel_that_dies_is_reported(root):
    path = root / "notebooks" / "02_dies.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("import os\nos._exit(1)")]), path)
    _, outcome = lessons.run(path)
    assert outcome.error.startswith("code cell 1, 'import os': DeadKernelError")


def test_memory_includes_child_processes(root):
    path = root / "notebooks" / "02_child.ipynb"
    child = "import time; memory = bytearray(300_000_000); time.sleep(2)"
    source = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', '{child}'], check=True)"
    nbformat.write(new_notebook(cells=[new_code_cell(source)]), path)
    assert lessons.run(path)[1].megabytes > 300


@pytest.fixture
def desktop(monkeypatch):
    """A reader who is not root and has a browser, wherever the tests run."""
    monkeypatch.setattr(lab, "_is_root", lambda: False)
    monkeypatch.setattr(lab, "_has_browser", lambda: True)


def test_lab_flags_are_completed(root, desktop):
    flags = lab.flags(["--port=8899"])
    assert flags[-1] == "--port=8899"
    assert {"--ip=127.0.0.1", f"--ServerApp.root_dir={root}"} <= set(flags)
    assert "--LabApp.default_url=/lab/tree/notebooks/00_welcome.ipynb" in flags
    tokens = [flag for flag in flags if "token" in flag]
    assert len(tokens) == 1 and len(tokens[0].partition("=")[2]) == 48
    assert not {"--allow-root", "--no-browser"} & set(flags)
    assert tokens[0] not in lab.flags([])


@pytest.mark.parametrize(
    "flag", ["--ip=0.0.0.0", "--ServerApp.ip=0.0.0.0", "--IdentityProvider.token=x", "--log-level=INFO"]
)
def test_lab_flags_of_the_reader_stand(desktop, flag):
    option = flag.partition("=")[0].lstrip("-").rpartition(".")[2]
    assert [given for given in lab.flags([flag]) if lab._option(given) == option] == [flag]


def test_lab_says_what_it_adds(monkeypatch, capsys):
    monkeypatch.setattr(lab, "_is_root", lambda: True)
    monkeypatch.setattr(lab, "_has_browser", lambda: False)
    assert lab.flags([])[-2:] == ["--allow-root", "--no-browser"]
    assert capsys.readouterr().out.count("is added") == 2
    assert lab.flags(["--no-browser", "--allow-root"]).count("--no-browser") == 1


def test_browsers_are_looked_for(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    assert not lab._has_browser()
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(lab.webbrowser, "get", lambda: object())
    assert lab._has_browser()

    def none():
        raise lab.webbrowser.Error

    monkeypatch.setattr(lab.webbrowser, "get", none)
    assert not lab._has_browser()


class Server(SimpleNamespace):
    """What `lab` uses of JupyterLab's server."""

    def start(self):
        self.started = True


@pytest.mark.parametrize("ip, noted", [("127.0.0.1", False), ("0.0.0.0", True)])
def test_lab_prints_its_address(desktop, monkeypatch, capsys, ip, noted):
    server = Server(
        ip=ip,
        connection_url="http://here:8888/",
        default_url=lab.WELCOME,
        identity_provider=SimpleNamespace(token="secret"),
        web_app=SimpleNamespace(settings={}),
        io_loop=SimpleNamespace(add_callback=lambda call, *words, **named: call(*words, **named)),
    )
    monkeypatch.setattr(lab.LabApp, "initialize_server", lambda argv: server)
    monkeypatch.setattr(lab.signal, "signal", lambda *_: None)
    assert command_line.main(["lab", "--", f"--ip={ip}"]) == 0
    said = capsys.readouterr().out
    assert server.started
    page = server.web_app.settings["page_config_hook"](None, {"disabledExtensions": ["another"]})
    assert page == {"disabledExtensions": ["another", lab.ANNOUNCEMENTS]}
    assert "http://here:8888/lab/tree/notebooks/00_welcome.ipynb?token=secret" in said
    assert ("from other machines" in said) == noted


def test_lab_refuses_an_empty_token(desktop, monkeypatch):
    server = Server(identity_provider=SimpleNamespace(token=""))
    monkeypatch.setattr(lab.LabApp, "initialize_server", lambda argv: server)
    with pytest.raises(SystemExit, match="not served without a token"):
        command_line.main(["lab", "--", "--IdentityProvider.token="])


def test_lab_serves_behind_its_token(root):
    shutil.copytree(PACKAGE, root / "pencourse", ignore=shutil.ignore_patterns("__pycache__"))
    with jupyterlab(root) as (server, address):
        page, _, token = address.partition("?token=")
        api = page.partition("/lab/")[0] + "/api/contents/notebooks"
        with urllib.request.urlopen(f"{api}?token={token}", timeout=30) as answer:
            assert answer.status == 200 and b"00_good.ipynb" in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(api, timeout=30)
    assert server.returncode == 0


def test_a_missing_package_is_named(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name="jupyterlab")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(SystemExit, match=r"The package jupyterlab is missing; python -m pip install"):
        command_line.main(["lab"])
