"""The website, made from the notebooks, the README and the docstrings: `make site`.

The repository is the source folder, so that every link between notebooks, exercises and pages leads where it leads
in the repository. Nothing is executed, and nothing is fetched: MathJax comes with a package of the extra `site`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ConfigError
from sphinx.util.fileutil import copy_asset

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT)]

project = "pencourse"
author = "The pencourse authors"
copyright = f"2026, {author}. Prose CC BY 4.0, code BSD-3-Clause"
release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
language = "en"
smartquotes_action = "D"  # dashes only: quotes are the notebooks'

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
root_doc = "docs/index"
include_patterns = ["docs/**.md", "notebooks/*.ipynb", "exercises/*/*.ipynb", "CONTRIBUTING.md", "LICENSE-PROSE.md"]
exclude_patterns = [".*", "**/.*", "build", "grading", "pencourse", "solutions", "tests"]  # not worth a look

myst_enable_extensions = ["amsmath", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # no notebook stores a widget's state, so no page needs its scripts
default_role = "py:obj"  # a name in a docstring's `backquotes`

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"  # the docstrings name types, with shapes and units
add_module_names = False
napoleon_google_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]  # two names may share a line
napoleon_use_rtype = False

html_theme = "sphinx_book_theme"
html_title = "pencourse"
html_static_path = ["static"]
html_extra_path = ["root"]
html_css_files = ["course.css"]
html_context = {"default_mode": "auto"}
html_show_sphinx = False
toc_object_entries_show_parents = "hide"
html_theme_options = {
    "navbar_persistent": [],  # no bar above the pages: its buttons would take the place of theirs
    "home_page_in_toc": True,
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "use_download_button": True,
    "use_fullscreen_button": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

# MathJax draws with SVG, because browsers refuse fonts to pages that are opened from a disk.
mathjax_path = "mathjax/tex-svg.js"
MATHJAX_PARTS = ("tex-svg.js", "a11y", "input/tex/extensions", "sre")
# Of the file in npm's mathjax 3.2.2, which is what the package ships.
MATHJAX_SHA256 = "d4295dc33744836935c1399feece5159577b34c5c8ffb9f1c6324cd82e03a882"

FOLDERS = {ROOT / "exercises": DOCS / "problem_sets.md", DOCS / "results": DOCS / "results.md"}
ALONE = "This picture is one position of the slider. The slider itself moves in JupyterLab (`make lab`)."
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
Lines = list[str]


# Pages


def page(app: Sphinx, docname: str, source: Lines) -> None:
    """Adapt a page as it is read; the file stays as it is."""
    folder = (ROOT / docname).parent
    if app.env.doc2path(docname).suffix == ".ipynb":
        source[0] = notebook(source[0], folder)
        return
    text = source[0]
    text = re.sub(r"<!-- README: (.+?) -->", lambda found: readme_section(found[1]), text)
    text = text.replace("<!-- LESSONS -->", lessons()).replace("<!-- PROBLEM SETS -->", problem_sets())
    if docname in ("docs/notation", "docs/glossary"):
        text = re.sub(r"\(lessons? [^)]+\)|\| \d\d \|$", lambda found: numbered(found[0]), text, flags=re.MULTILINE)
    if docname == "docs/bibliography":
        text = re.sub(
            r"^- .+\*(.+?)\.\*.+$", lambda found: f"{found[0]} {' · '.join(cited(found[1]))}", text, flags=re.M
        )
    source[0] = links(text, folder)


def notebook(text: str, folder: Path) -> str:
    """Give pictures their words, and say beside a slider where it moves."""
    content = json.loads(text)
    cells = []
    for cell in content["cells"]:
        cells.append(cell)
        if cell["cell_type"] == "markdown":
            cell["source"] = links("".join(cell["source"]), folder)
            continue
        for output in cell.get("outputs", []):
            words = output.get("metadata", {}).get("image/png", {}).get("alt")
            if words:
                cell["metadata"]["mystnb"] = {"image": {"alt": words}}
        if "slider" in cell["metadata"].get("tags", []):
            note = f"```{{note}}\n:class: slider-alone\n{ALONE}\n```"
            cells.append({"cell_type": "markdown", "id": cell["id"] + "-alone", "metadata": {}, "source": note})
    content["cells"] = cells
    return json.dumps(content)


def readme_section(name: str) -> str:
    """Return a section of the README, or what stands before the first, with its links seen from docs/."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    if name == "introduction":
        found = re.search(r"^Some problems .+?(?=^## )", text, re.DOTALL | re.MULTILINE)
    else:
        found = re.search(rf"^## {re.escape(name)}\n.+?(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    if not found:
        raise ConfigError(f"README.md has no section {name!r}; docs/index.md asks for it.")
    return re.sub(r"\]\((?!https?:|#)", "](../", found[0])


def links(text: str, folder: Path) -> str:
    """Let a link to a folder lead to the page about it; where there is none, leave its words."""

    def adapted(found: re.Match[str]) -> str:
        words, target = found.groups()
        path = (folder / target).resolve()
        if not path.is_dir():
            return found[0]
        there = FOLDERS.get(path)
        return f"[{words}]({Path(os.path.relpath(there, folder)).as_posix()})" if there else words

    return re.sub(r"\[([^\]\n]+)\]\((?!https?:|#)([^)\s#]+)\)", adapted, text)


def lessons() -> str:
    """Return the table of contents' lessons: those that are there, under the names of the README's map."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    names = dict(re.findall(r"^\| \[?((\d\d) [^|\]]+?)\]?(?:\([^)]*\))? \|", text, re.MULTILINE))
    names = {number: name for name, number in names.items()}
    return "\n".join(f"{names[path.stem[:2]]} <../notebooks/{path.stem}>" for path in LESSONS)


def numbered(text: str) -> str:
    """Link each number of a lesson to the lesson, if it is there."""
    for path in LESSONS:
        text = re.sub(rf"(?<!\d){path.stem[:2]}(?!\d)", f"[{path.stem[:2]}](../notebooks/{path.name})", text)
    return text


def problem_sets() -> str:
    """Return the table of contents' problem sets, each under its own title."""
    names = [path.stem for path in sorted((ROOT / "exercises").glob("*/*.ipynb"))]
    return "\n".join(f"../exercises/{name}/{name}" for name in names)


@cache
def citing() -> dict[str, str]:
    """Return what may cite a work: the References of each lesson, and the library's text, behind links to them."""
    texts = {}
    for path in LESSONS:
        last = json.loads(path.read_text(encoding="utf-8"))["cells"][-1]
        texts[f"[{path.stem[:2]}](../notebooks/{path.name})"] = "".join(last["source"])
    library = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "pencourse").rglob("*.py"))]
    return texts | {"[library](api/index.md)": "\n".join(library)}


def cited(title: str) -> Lines:
    """Return links to what cites a work by its title, or by the title without what follows its colon."""
    start = title.split(":")[0].lower()
    return [link for link, text in citing().items() if start in " ".join(text.lower().split())]


# Docstrings

VALUES, COLON = {"attribute", "data", "property"}, "\0"


def docstring(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: Lines) -> None:
    """Keep formulas in plain text as they are: set off, they keep their lines; inline, their stars and bars."""
    text = escaped("\n".join(set_off(lines)))
    text = re.sub(r"(?<!`)(`\.\w[\w.]*`)(?!`)", r"`\1`", text)  # `.value` is anybody's: no link
    if what in VALUES:
        text = text.replace(":", COLON)
    lines[:] = text.split("\n")


def colons(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: Lines) -> None:
    """Put back the colons hidden from napoleon, which reads an attribute's docstring as "type: description"."""
    lines[:] = [line.replace(COLON, ":") for line in lines]


def set_off(lines: Lines) -> Lines:
    """Make a literal block of each indented block that follows an empty line."""
    result: Lines = []
    last, block = 0, None
    for number, line in enumerate(lines):
        depth = len(line) - len(line.lstrip())
        if line.strip():
            if block is not None and depth <= block:
                block = None
            if block is None and number and not lines[number - 1].strip() and depth > last and result:
                result += [" " * last + "::", ""]
                block = last
            if block is None:
                last = depth
        result.append(line)
    return result


# What keeps its markup: quotes, emphasis (over one line's end at most), and blocks that are set off.
KEPT = (
    r"``.+?``|`[^`]+`"
    r"|(?<![\w)*])\*(?=\S)[^*\n]*(?:\n[^*\n]+)?(?<=\S)\*(?![\w*])"
    r"|^(?P<edge>\ *)::\n(?:\n|(?P=edge)\ +.*\n?)+"
)


def escaped(text: str) -> str:
    """Escape what reStructuredText would take for markup: V*, |x|, Q_."""
    pattern = rf"(?P<kept>{KEPT})|[*|\\]|_(?!\w)"
    return re.sub(pattern, lambda found: found[0] if found["kept"] else "\\" + found[0], text, flags=re.MULTILINE)


def by_last_name(app: Sphinx, env: Any, node: Any, content: Any) -> nodes.reference | None:
    """Resolve the name of a function or class of any module, if only one has it; another name stays text."""
    if node.get("refdomain") != "py":
        return None
    domain, target = env.get_domain("py"), node["reftarget"]
    kinds = {"function", "class", "exception", "module"}
    found = [
        full
        for full, entry in domain.objects.items()
        if entry.objtype in kinds and full.endswith(f".{target}") and not entry.aliased
    ]
    if len(found) != 1:
        return None
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", found[0], node, content)


# MathJax


def mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Copy what the pages need of MathJax, and nothing that is not what its makers released."""
    if exception or app.builder.format != "html":
        return
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    (package,) = spec.submodule_search_locations
    source, target = Path(package) / "static" / "mathjax", Path(app.outdir) / "_static" / "mathjax"
    if hashlib.sha256((source / "tex-svg.js").read_bytes()).hexdigest() != MATHJAX_SHA256:
        raise ConfigError("tex-svg.js is not that of MathJax 3.2.2.")
    for part in MATHJAX_PARTS:
        copy_asset(source / part, (target / part).parent if (source / part).is_file() else target / part)


def formulas(app: Sphinx, document: nodes.document) -> None:
    """Hand displayed formulas to MathJax as they are, and keep a line from breaking beside an inline one's comma."""
    for block in document.findall(nodes.math_block):
        if not block.get("no-wrap", block.get("nowrap")):  # Sphinx would put split around some, where no tag is allowed
            block["no-wrap"] = True
            block[:] = [nodes.Text(rf"\[{block.astext()}\]")]
    for formula in list(document.findall(nodes.math)):
        parent = formula.parent
        place = parent.index(formula)
        tied = nodes.inline(classes=["tied"])
        for beside, pattern in ((place + 1, r"[.,;:!?)\]'’”–-]+"), (place - 1, r"[(\[]+$")):
            there = parent[beside] if 0 <= beside < len(parent) else None
            found = re.search(pattern, there) if isinstance(there, nodes.Text) else None
            if found and (beside < place or found.start() == 0):
                parent[beside] = nodes.Text(there[: found.start()] + there[found.end() :])
                tied.insert(0 if beside < place else len(tied), nodes.Text(found[0]))
        if len(tied):
            parent[place] = tied
            tied.insert(1 if tied[0].astext()[0] in "([" else 0, formula)


def setup(app: Sphinx) -> None:
    app.connect("source-read", page)
    app.connect("doctree-read", formulas)
    app.connect("autodoc-process-docstring", docstring, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", colons, priority=600)
    app.connect("missing-reference", by_last_name)
    app.connect("build-finished", mathjax)
