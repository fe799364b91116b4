"""Finds Chromium for the browser test; as a script, installs it where that is needed and possible."""

from __future__ import annotations

import os
import shutil
import subprocess

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-sync", "--no-first-run", "--disable-background-networking"]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """Return the path of a Chromium or Chrome, or None where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


def install() -> None:
    """Install Debian's Chromium: that takes root and apt, and nothing else is tried on anybody's machine."""
    if os.name != "posix" or os.geteuid() != 0 or not shutil.which("apt-get"):
        print("There is no Chromium, and it can't be installed from here: the browser test will be skipped.")
        return
    print("Installing Chromium for the browser test.", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=quiet, check=True)
    subprocess.run(["apt-get", "install", "-qq", "-y", "chromium"], env=quiet, check=True)


if __name__ == "__main__" and not find():
    install()
