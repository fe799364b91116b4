"""``python -m pencourse lab``: JupyterLab on the welcome notebook, on loopback and never without a token."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import webbrowser
from collections.abc import Sequence
from typing import Any

from jupyterlab.labapp import LabApp

from pencourse.commands import repository

WELCOME = "/lab/tree/notebooks/00_welcome.ipynb"
ANNOUNCEMENTS = "@jupyterlab/apputils-extension:announcements"


def lab(arguments: argparse.Namespace) -> int:
    """Serve JupyterLab until Ctrl-C; print the address, token included."""
    # nbgrader's formgrader calls its tools by their bare names, and .venv may not be activated.
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    # Run inside this process, so that the token does not show in the list of processes.
    server = LabApp.initialize_server(argv=flags(arguments.flags))
    if not server.identity_provider.token:
        sys.exit("JupyterLab is not served without a token: give one that is not empty, or none.")
    if server.ip not in ("127.0.0.1", "localhost", "::1"):
        print(f"Note: whoever has the token can reach {server.ip} from other machines.")
    server.web_app.settings["page_config_hook"] = _without_announcements
    # Once is enough, and ends the kernels too: JupyterLab would ask, or without a terminal leave them.
    signal.signal(signal.SIGINT, lambda *_: server.stop(from_signal=True))
    page = server.connection_url.rstrip("/") + server.default_url
    address = f"{page}?token={server.identity_provider.token}"
    said = f"\nThe course is open at\n\n    {address}\n\nCtrl-C ends it.\n"
    # Only once somebody answers there: the loop begins by opening the port.
    server.io_loop.add_callback(print, said, flush=True)
    server.start()
    return 0


def flags(own: Sequence[str]) -> list[str]:
    """Complete the reader's flags for JupyterLab; what is given there is left as it is."""
    usual = {
        "--ip": "127.0.0.1",
        "--IdentityProvider.token": secrets.token_hex(24),
        "--ServerApp.root_dir": str(repository.ROOT),
        "--LabApp.default_url": WELCOME,
        "--Application.log_level": "WARN",
    }
    given = {_option(flag) for flag in own}
    completed = [f"{flag}={value}" for flag, value in usual.items() if _option(flag) not in given]
    if "allow-root" not in given and _is_root():
        print("You are root, so --allow-root is added.")
        completed.append("--allow-root")
    if "no-browser" not in given and not _has_browser():
        print("No browser can be opened from here, so --no-browser is added.")
        completed.append("--no-browser")
    return [*completed, *own]


def _without_announcements(_: object, page: dict[str, Any]) -> dict[str, Any]:
    """Spare the reader JupyterLab's question about news, leaving the reader's own settings as they are."""
    return page | {"disabledExtensions": [*page.get("disabledExtensions", []), ANNOUNCEMENTS]}


def _option(flag: str) -> str:
    """Return the option that a flag sets: both ``--ip=::1`` and ``--ServerApp.ip=::1`` set ``ip``."""
    return flag.partition("=")[0].lstrip("-").rpartition(".")[2]


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _has_browser() -> bool:
    """Tell whether a browser with windows can be opened (a terminal's text browser can't show JupyterLab)."""
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & os.environ.keys():
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True
