"""A student's notebook in a process of its own, with limits on time, memory, disk and processes.

What the process sends is read as text and plain numbers. Whatever it does, a call returns within its time: with a
result, with the student's error, or with `Lost`.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil

from . import cells as inside

PACKAGE = Path(__file__).resolve().parents[2]
MEGABYTE = 1_000_000
LOOK = 0.1  # seconds between two looks at what the process holds
# In place of the checks: the released import works, a call of a check does nothing, and there are no references.
NO_CHECKS = """
class Checks:
    def __getattr__(self, name):
        return lambda *answer, seed=0: None

def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return Checks()
"""


@dataclass(frozen=True)
class Limits:
    """What one notebook may take: seconds a cell and in all, megabytes of memory and of disk, processes.

    ``user`` is whom the process runs as; only root can choose, as in the container.
    """

    seconds: float = 60.0
    total: float = 300.0
    memory: int = 2000
    disk: int = 200
    processes: int = 20
    user: str | None = None


class Lost(BaseException):
    """The process was stopped, or ended itself; no Exception, so that nothing takes it for a student's error."""


@dataclass
class Student:
    """A notebook's cells, and its functions. Use it in a ``with`` block; what it started is ended there.

    Attributes
    ----------
    cells : list of str
        The sources to run, in their order.
    errors : dict
        For each cell that did not come to its end, why.
    facts : dict
        ``names`` that each function uses and ``prints`` of the functions, read before any cell ran.
    stopped : set of int
        The cells at which the process was lost; they are left out when it is started again.
    """

    cells: list[str]
    limits: Limits
    errors: dict[int, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> Student:
        self._end = time.monotonic() + self.limits.total
        self.stopped: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()

    def start(self) -> None:
        """Have the process ready. A cell at which it was lost before is left out this time.

        Raises
        ------
        Lost
            If the time for the whole notebook is used up, or the process is lost outside the cells.
        RuntimeError
            If it is lost before the first cell: that is not the student's doing.
        """
        while self._process is None:
            running: Any = None
            try:
                self._spawn()
                facts = self._receive(self.limits.seconds)[0]
                self.facts = self.facts or facts
                while not (event := self._receive(self.limits.seconds)[0]).get("ready"):
                    running = event.get("begun", running)
                    if event.get("said") and running in range(len(self.cells)):
                        self.errors[int(running)] = printable(event["said"])
            except (Lost, KeyError, TypeError, ValueError, AttributeError) as error:
                lost = error if isinstance(error, Lost) else Lost("its process sent what is no answer")
                said = "" if running is not None else (self._folder / "stderr").read_text(errors="replace")
                self._kill()
                if time.monotonic() > self._end:
                    raise lost from None
                if running is None:
                    raise RuntimeError(f"no process for students' code ({said.strip()[-200:] or lost})") from None
                if running not in range(len(self.cells)) or running in self.stopped:
                    raise lost from None
                self.stopped.add(running)
                self.errors[running] = str(lost)

    def call(self, name: str, arguments: tuple[Any, ...], seconds: float) -> tuple[dict[str, Any], bytes]:
        """Call a function of the notebook; return the header and the bytes of its reply, or raise `Lost`."""
        self.start()
        try:
            self._send((name, arguments))
            return self._receive(seconds)
        except Lost:
            self._kill()
            raise

    def _spawn(self) -> None:
        """Start the process in a folder of its own, which nobody has written into before."""
        self._folder = Path(tempfile.mkdtemp(prefix="student-"))
        self._folder.chmod(0o755)  # to be read by whomever the process runs as
        copied = shutil.ignore_patterns("checks", "commands", "__main__.py")
        shutil.copytree(PACKAGE, self._folder / "pencourse", ignore=copied)
        (self._folder / "pencourse" / "checks.py").write_text(NO_CHECKS, encoding="utf-8")
        shutil.copyfile(inside.__file__, self._folder / "cells.py")  # without its rights: root's in the container
        home = str(self._folder / "home")
        os.mkdir(home)
        if self.limits.user is not None:
            shutil.chown(home, self.limits.user)
        environment = dict.fromkeys(
            ("HOME", "USERPROFILE", "TMPDIR", "TMP", "TEMP", "IPYTHONDIR", "MPLCONFIGDIR"), home
        )
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        environment |= {"MPLBACKEND": "Agg", "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ.get("PATH", "")}
        environment |= {name: os.environ[name] for name in ("SYSTEMROOT", "LANG") if name in os.environ}
        said = (self._folder / "stderr").open("wb")  # until the cells run; their output goes nowhere
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(self._folder / "cells.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            cwd=home,
            env=environment,
            start_new_session=True,
            user=self.limits.user,
            group=self.limits.user and _group(self.limits.user),
            extra_groups=None if self.limits.user is None else [],
        )
        said.close()
        self._replies: queue.Queue[tuple[dict[str, Any], bytes] | None] = queue.Queue(maxsize=4)
        threading.Thread(target=_read, args=(self._process.stdout, self._replies), daemon=True).start()
        # Twice the memory for addresses, of which many are never touched.
        most = {"memory": 2 * self.limits.memory * MEGABYTE, "disk": self.limits.disk * MEGABYTE}
        self._send({"cells": self.cells, "skip": self.stopped, **most})

    def _send(self, request: Any) -> None:
        """Write a request in a thread of its own: a process that does not read would stop the writer."""
        assert self._process is not None
        threading.Thread(target=_write, args=(self._process.stdin, pickle.dumps(request)), daemon=True).start()

    def _receive(self, seconds: float) -> tuple[dict[str, Any], bytes]:
        end = time.monotonic() + seconds
        while True:
            try:
                reply = self._replies.get(timeout=LOOK)
            except queue.Empty:
                self._look(end)
                continue
            if reply is None:
                raise Lost("it ended its process")
            return reply

    def _look(self, end: float) -> None:
        """Stop a process that takes more than it may."""
        assert self._process is not None
        if time.monotonic() > min(end, self._end):
            whole = f"the {self.limits.total:g} seconds for a notebook are used up"
            raise Lost(whole if self._end < end else f"it took more than {self.limits.seconds:g} seconds")
        family = _family(self._process.pid)
        if len(family) > self.limits.processes:
            raise Lost(f"it started more than {self.limits.processes} processes")
        held = 0
        for member in family:
            with contextlib.suppress(psutil.Error):
                held += member.memory_info().rss
        if held > self.limits.memory * MEGABYTE:
            raise Lost(f"it held more than {self.limits.memory} MB of memory")
        if _size(self._folder / "home") > self.limits.disk * MEGABYTE:
            raise Lost(f"it wrote more than {self.limits.disk} MB to disk")

    def _kill(self) -> None:
        if self._process is None:
            return
        family = _family(self._process.pid)
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):  # also those whose parent has ended
                os.killpg(self._process.pid, signal.SIGKILL)
        for member in family:
            with contextlib.suppress(psutil.Error):
                member.kill()
        self._process.wait()
        self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _group(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid


def _size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    found = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                found += os.lstat(os.path.join(parent, name)).st_size
    return found


def _write(stream: Any, data: bytes) -> None:
    with contextlib.suppress(OSError, ValueError):
        stream.write(data)
        stream.flush()


def _read(stream: Any, replies: queue.Queue[tuple[dict[str, Any], bytes] | None]) -> None:
    """Put one reply after the other into the queue, and None at the end or at what is no reply."""
    try:
        while True:
            (length,) = struct.unpack(">I", stream.read(4))
            header = json.loads(stream.read(min(length, MEGABYTE)))
            replies.put((header, stream.read(min(max(0, int(header["bytes"])), inside.LARGEST))))
    except (OSError, struct.error, ValueError, KeyError, TypeError, RecursionError):
        replies.put(None)


def printable(text: object) -> str:
    """Return one line of a student's text, harmless to whoever stores or shows it."""
    return "".join(c if c.isprintable() else " " for c in str(text)[:400])


def value(header: dict[str, Any], raw: bytes) -> Any:
    """Return a reply as what the function returned: None, an array, or an empty object of the same type's name."""
    if header.get("none"):
        return None
    if "dtype" in header:
        try:
            kind = np.dtype(bool) if header["dtype"] == "|b1" else np.dtype("<f8")
            return np.frombuffer(raw, kind).reshape([int(n) for n in header["shape"]])
        except (ValueError, TypeError, OverflowError):
            pass
    return type(printable(header.get("type", "thing")), (SimpleNamespace,), {})()
