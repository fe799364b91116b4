"""The course's JupyterLab, started as a reader starts it, for the tests that need a real one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def jupyterlab(root: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Serve the copy of the repository at ``root``; yield the process and the address that it prints."""
    private = root / ".jupyter"  # neither the settings of whoever runs the tests, nor theirs changed
    folders = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython"}
    folders |= {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    keep_all_cells(private / "settings")
    server = subprocess.Popen(
        [sys.executable, "-m", "pencourse", "lab", "--", "--no-browser", f"--port={free_port()}"],
        cwd=root,
        env={**os.environ, **{name: str(private / folder) for name, folder in folders.items()}},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout
    try:
        addresses = (re.search(r"http://\S+", line) for line in server.stdout)
        yield server, next(found.group() for found in addresses if found)
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(30)
        finally:
            server.kill()
            server.stdout.close()


def keep_all_cells(settings: Path) -> None:
    """Have JupyterLab keep a notebook's cells in the page, also those that are scrolled out of sight."""
    folder = settings / "@jupyterlab" / "notebook-extension"
    folder.mkdir(parents=True)
    (folder / "tracker.jupyterlab-settings").write_text(json.dumps({"windowingMode": "none"}))
