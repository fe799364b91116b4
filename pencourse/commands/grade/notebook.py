"""What a student handed in, put into the notebook that was released: nothing else of the file reaches the grader."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from copy import deepcopy
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

LARGEST = 20_000_000  # bytes of a file
WRITTEN = re.compile(r"^def (\w+)\(", re.MULTILINE)
TAG = re.compile(r"<(?=[a-zA-Z/!?])")  # HTML in a proof could run scripts in the browser of whoever grades it
MARK = re.compile(r"\b(BEGIN|END) +(HIDDEN|SOLUTION|MARK)")  # nbgrader stops at a mark that is not closed


class Unreadable(Exception):
    """A submission that holds no notebook; the text says why."""


def find(folder: Path, name: str) -> tuple[Path, str]:
    """Return the notebook in a submission's folder, and a remark if it has another name than was released."""
    there = sorted(path for path in folder.glob("*.ipynb") if path.is_file() and not path.is_symlink())
    named = [path for path in there if path.name == f"{name}.ipynb"]
    if not named and len(there) == 1:
        return there[0], f"the file is called {there[0].name}"
    if not named:
        names = ", ".join(path.name for path in there) or "no notebook"
        raise Unreadable(f"there is no {name}.ipynb but {names}")
    return named[0], ""


def cells(path: Path) -> list[NotebookNode]:
    """Return the cells of a notebook of whatever version: kind, source, names and pictures, all else left out.

    Raises
    ------
    Unreadable
        If the file is no notebook.
    """
    if path.stat().st_size > LARGEST:
        raise Unreadable(f"the file has more than {LARGEST // 1_000_000} MB")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the file is not JSON ({error})"[:200]) from None
    except OSError as error:
        raise Unreadable(f"the file cannot be read ({error.strerror})") from None
    if isinstance(content, dict) and isinstance(content.get("worksheets"), list):  # as written ten years ago
        sheets = [sheet for sheet in content["worksheets"] if isinstance(sheet, dict)]
        content = {"cells": [cell for sheet in sheets for cell in sheet.get("cells", [])]}
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
        raise Unreadable("the file is JSON, but no notebook")
    return [_cell(cell) for cell in content["cells"] if isinstance(cell, dict)]


def _cell(given: dict[str, Any]) -> NotebookNode:
    source = given.get("source", given.get("input", ""))
    text = "".join(map(str, source)) if isinstance(source, list) else str(source)
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
    text = MARK.sub(lambda mark: mark[0].lower(), text)
    cell: Any = new_code_cell(text) if given.get("cell_type") == "code" else new_markdown_cell(text)
    if cell.cell_type == "markdown":
        cell.source = TAG.sub("< ", text)
    metadata = given.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    cell.known = [name for name in (grade_id, given.get("id")) if isinstance(name, str)]
    attached = given.get("attachments")
    if cell.cell_type == "markdown" and isinstance(attached, dict):
        cell.attachments = {
            str(name): {str(kind): str(data) for kind, data in held.items() if str(kind).startswith("image/")}
            for name, held in attached.items()
            if isinstance(held, dict)
        }
    return cell


def rebuild(released: NotebookNode, submitted: list[NotebookNode]) -> tuple[NotebookNode, list[str]]:
    """Return the released notebook with the student's answers and own cells in it, and what had to be repaired.

    A locked cell is as it was released, whatever was done to it. An answer is known by its `grade_id`, else by the
    cell's identifier, else by the name of its function; of two the last counts, and the first runs before it.
    """
    places = {_name(cell): k for k, cell in enumerate(released.cells)}
    places |= {cell.id: k for k, cell in enumerate(released.cells)}
    functions = {
        written: k
        for k, cell in enumerate(released.cells)
        if _is(cell, "solution")
        for written in WRITTEN.findall(cell.source)[:1]
    }
    by_name = {places[name] for cell in submitted for name in cell.known if name in places}
    found: dict[int, NotebookNode] = {}
    own: dict[int, list[NotebookNode]] = defaultdict(list)
    remarks = []
    last = -1
    for cell in submitted:
        place = next((places[name] for name in cell.known if name in places), None)
        if place is None and cell.cell_type == "code":
            place = next((functions[w] for w in WRITTEN.findall(cell.source) if w in functions), None)
            place = None if place in by_name else place
        if place is None:
            if cell.source.strip() and cell.source not in {known.source for known in released.cells}:
                own[last].append(cell)
            continue
        last = place
        if place in found and released.cells[place].cell_type == "code" and not _is(released.cells[place], "locked"):
            own[place - 1].append(found[place])
            remarks.append(f"{_name(released.cells[place])} is there twice, the last counts")
        found[place] = cell
    result = deepcopy(released)
    result.cells = list(own[-1])
    for k, cell in enumerate(released.cells):
        cell, answer = deepcopy(cell), found.get(k)
        shows_only = cell.cell_type == "code" and not cell.metadata.get("nbgrader")
        editable = _is(cell, "solution") or shows_only
        if answer is None and shows_only:
            result.cells += own[k]
            continue
        if answer is None and _is(cell, "solution", "grade", "locked"):
            remarks.append(f"{_name(cell)} was deleted")
        elif answer is not None and editable:
            cell.source = answer.source
            if cell.cell_type == "markdown" and "attachments" in answer:
                cell.attachments = answer.attachments
        elif answer is not None and cell.cell_type == "code" and answer.source != cell.source:
            remarks.append(f"{_name(cell)} was edited")
        result.cells += [cell, *own[k]]
    for cell in result.cells:
        cell.pop("known", None)
    return result, remarks


def _name(cell: NotebookNode) -> str:
    return str(cell.metadata.get("nbgrader", {}).get("grade_id", cell.id))


def _is(cell: NotebookNode, *what: str) -> bool:
    settings = cell.metadata.get("nbgrader", {})
    return any(settings.get(one) for one in what)
