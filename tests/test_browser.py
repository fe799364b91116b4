"""A reader opens a lesson in JupyterLab, runs it, and moves its first slider: in Chromium, without a window."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import Page
from serving import jupyterlab

from pencourse.commands.lessons import KERNEL

ROOT = Path(__file__).resolve().parents[1]
RUN_SECONDS = 300
CHANGE_SECONDS = 30

# In the status bar: the notebook's own indicator is idle too before there is a kernel, and what runs then is lost.
KERNEL_IS_IDLE = f"{KERNEL['display_name']} | Idle"
ERROR = '[data-mime-type="application/vnd.jupyter.error"]'
# Every code cell that holds code has its number; an error ends the wait, because it ends the run.
FINISHED = f"""() => document.querySelector('{ERROR}') ||
  [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')].every(cell =>
    /\\[\\d+\\]/.test(cell.querySelector('.jp-InputPrompt').textContent)
    || !cell.querySelector('.cm-content').textContent.trim())"""


def stand_in(path: Path) -> None:
    """Write the smallest lesson: what the test sees in it, it can see in any."""
    picture = """\
import ipywidgets
import matplotlib.pyplot as plt


@ipywidgets.interact(height=(0, 10))
def show(height=3):
    plt.plot([0, height])
    plt.ylim(0, 10)
    plt.show()"""
    cells = [new_markdown_cell("# A stand-in"), new_code_cell(picture), new_code_cell("print('the end')")]
    path.parent.mkdir()
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), path)


def lesson(path: Path) -> None:
    shutil.copytree(ROOT / "notebooks", path.parent, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))


@pytest.mark.browser
@pytest.mark.parametrize("name, bring", [("00_stand_in", stand_in), ("01_mdps", lesson)])
def test_a_lesson_runs_and_its_slider_moves(browser, tmp_path, name, bring):
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "pencourse", tmp_path / "pencourse", ignore=ignore)
    bring(tmp_path / "notebooks" / f"{name}.ipynb")
    with jupyterlab(tmp_path) as (_, address):
        page = browser.new_page(viewport={"width": 1200, "height": 1500})
        page.set_default_timeout(60_000)
        page.goto(address.replace("00_welcome", name))
        run_all(page)
        assert page.locator(ERROR).all_inner_texts() == []
        last = page.locator(".jp-Notebook .jp-CodeCell:has(.cm-content:not(:empty))").last
        assert last.locator(".jp-OutputArea-output").count() > 0
        move_slider(page)
        assert page.locator("dialog, .Toastify__toast").all_inner_texts() == []  # nothing asks about news
        page.close()


def run_all(page: Page) -> None:
    """Wait for the kernel, run every cell, and wait until each has its number."""
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.get_by_text(KERNEL_IS_IDLE).wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(FINISHED, timeout=1000 * RUN_SECONDS)


def move_slider(page: Page) -> None:
    """Tab to the first slider and press the right arrow: its readout and a picture in its cell change.

    So a reader without a mouse can do it. The Tabs begin a few stops before the slider.
    """
    cell = page.locator(".jp-CodeCell", has=page.locator(".widget-slider")).first
    slider = cell.locator(".widget-slider").first
    slider.scroll_into_view_if_needed()
    cell.locator(".jp-OutputArea-output img").first.wait_for()
    before = readout_and_pictures(cell)
    handle = slider.locator(".noUi-handle").first
    reached = "handle => handle == document.activeElement"
    handle.focus()
    page.keyboard.press("Shift+Tab")
    assert not handle.evaluate(reached)
    for _ in range(10):
        page.keyboard.press("Tab")
        if handle.evaluate(reached):
            break
    assert handle.evaluate(reached) and handle.get_attribute("role") == "slider"
    page.keyboard.press("ArrowRight")
    ending = time.monotonic() + CHANGE_SECONDS
    while time.monotonic() < ending:
        page.wait_for_timeout(200)
        after = readout_and_pictures(cell)
        if after[0] != before[0] and after[1] and after[1] != before[1]:
            return
    pytest.fail(f"the slider went from {before[0]!r} to {after[0]!r}, and the picture stayed")


def readout_and_pictures(cell) -> tuple[str, list[str]]:
    """Return what stands beside the first slider, and the pictures of its cell, each as its data."""
    readout = cell.locator(".widget-readout").first.inner_text()
    return readout, cell.locator(".jp-OutputArea-output img").evaluate_all("images => images.map(i => i.src)")
