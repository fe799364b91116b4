"""The website as `make site` builds it, and its reference pages: every name, symbol, term and work is there."""

import ast
import importlib.util
import inspect
import itertools
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

import pencourse

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NUMBERS = {path.name[:2]: path for path in LESSONS}
lessons = pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)

# The pages


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of a site that was built without a warning."""
    if not importlib.util.find_spec("sphinx"):
        pytest.skip("The packages of the extra `site` are not installed.")
    folder = tmp_path_factory.mktemp("build")
    options = ["--fail-on-warning", "--keep-going", "--quiet", "-c", "docs", "-d", str(folder / "doctrees")]
    command = [sys.executable, "-m", "sphinx", *options, ".", str(folder / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert built.returncode == 0, built.stderr
    return folder / "site"


class Page(HTMLParser):
    """What a page links, loads and shows."""

    def __init__(self, path):
        super().__init__()
        self.path, self.language, self.title, self.links, self.loads = path, None, "", [], []
        self.anchors, self.images, self.relations, self.classes = {""}, [], {}, []
        self._in_title = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        words = (given.get("class") or "").split()
        self.classes += words
        self.anchors |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag == "html":
            self.language = given.get("lang")
        self._in_title |= tag == "title"
        if tag in ("a", "link") and given.get("href"):
            self.links.append(given["href"])
            if given.get("rel") in ("prev", "next") and tag == "link":
                self.relations[given["rel"]] = given["href"]
            if tag == "link" and given.get("rel") not in ("prev", "next", "index", "search", "author"):
                self.loads.append(given["href"])
        if given.get("src"):
            self.loads.append(given["src"])
            self.links.append(given["src"])
        if tag == "img":
            self.images.append(given)

    def handle_endtag(self, tag):
        self._in_title &= tag != "title"

    def handle_data(self, data):
        self.title += data * self._in_title


@pytest.fixture(scope="module")
def pages(site):
    paths = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    return {path.relative_to(site).as_posix(): Page(path) for path in paths}


def page_of(pages, notebook):
    return pages[notebook.relative_to(ROOT).with_suffix(".html").as_posix()]


def is_elsewhere(address):
    return re.match(r"\w+:|//", address) and not address.startswith("data:")


def test_nothing_is_loaded_from_elsewhere(site, pages):
    assert {name: found for name, page in pages.items() if (found := [*filter(is_elsewhere, page.loads)])} == {}
    for sheet in site.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:\w+:)?//[^)\s]*", text) == [], sheet.name


def test_every_link_inside_leads_somewhere(site, pages):
    lost = []
    for name, page in pages.items():
        for link in page.links:
            if re.match(r"\w+:|//", link):
                continue
            target, _, anchor = link.partition("#")
            path = (page.path.parent / unquote(target.partition("?")[0])).resolve() if target else page.path
            there = pages.get(path.relative_to(site.resolve()).as_posix()) if path.is_relative_to(site) else None
            if not path.is_file() or (anchor and there and unquote(anchor) not in there.anchors):
                lost.append((name, link))
    assert lost == []


def test_every_page_has_a_language_and_a_title_and_words_for_each_picture(pages):
    for name, page in pages.items():
        assert page.language == "en" and page.title.strip(), name
        assert all((image.get("alt") or "").strip() for image in page.images), name


@lessons
def test_a_lesson_keeps_its_question_its_pictures_and_says_where_the_slider_is(pages, lesson):
    notebook, page = nbformat.read(lesson, as_version=4), page_of(pages, lesson)
    question = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    assert page.title.split(" — ")[0].strip() == question
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in code for output in cell.outputs]
    words = [output.metadata["image/png"]["alt"] for output in outputs if "image/png" in output.get("data", {})]
    assert [image["alt"] for image in page.images if "_images/" in image["src"]] == words
    assert page.classes.count("slider-alone") == sum("slider" in cell.metadata.get("tags", []) for cell in code)


def test_lessons_follow_each_other(pages):
    found = [page_of(pages, lesson) for lesson in LESSONS]
    for before, after in itertools.pairwise(found):
        assert before.relations["next"] == after.path.name and after.relations["prev"] == before.path.name
    assert found[0].relations["prev"].endswith("docs/index.html") and "next" in found[-1].relations


def test_the_first_page_leads_on(site):
    assert 'url=docs/index.html"' in (site / "index.html").read_text(encoding="utf-8")


BAD_FORMULAS = "[data-mml-node=merror], [data-mml-node=mtext][fill=red]"


@pytest.mark.browser
def test_pages_typeset_and_fit_without_a_network(site, browser):
    """On a phone's width, from the disk: formulas without errors, no page wider than the screen, nothing asked for."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, offline=True)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    for path in sorted(site.glob("[de]*/**/*.html")) + sorted(site.glob("notebooks/*.html")):
        page.goto(path.as_uri())
        page.evaluate("window.MathJax?.startup?.promise")
        name = path.relative_to(site).as_posix()
        bad = page.locator(BAD_FORMULAS).all_inner_texts()
        assert bad == [], f"{name}: {bad}"
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        if path.parent.name == "notebooks":
            assert page.locator("mjx-container").count() > 20, name
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


@pytest.mark.browser
def test_search(site, browser):
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto((site / "notebooks" / "01_mdps.html").as_uri(), wait_until="load")
    page.keyboard.press("Control+k")
    page.locator("#pst-search-dialog input").fill("Danskin")
    page.keyboard.press("Enter")
    page.locator("#search-results li a", has_text="How do you differentiate").first.wait_for()
    context.close()


@pytest.mark.browser
def test_dark_mode_and_the_menu_of_a_phone(site, browser):
    context = browser.new_context(viewport={"width": 390, "height": 844}, offline=True)
    page = context.new_page()
    page.goto((site / "notebooks" / "01_mdps.html").as_uri(), wait_until="load")

    def background(selector):
        seen = page.locator(selector).first.evaluate("element => getComputedStyle(element).backgroundColor")
        return [int(number) for number in re.findall(r"\d+", seen)[:3]]

    assert min(background("body")) > 200
    page.locator(".theme-switch-button:visible").click()
    page.get_by_text("Dark", exact=True).click()
    page.wait_for_function("document.documentElement.dataset.theme == 'dark'")
    assert max(background("body")) < 60 and min(background(".cell_output img")) == 255
    page.locator(".primary-toggle:visible").click()
    page.get_by_role("link", name="02 Regularised RL and mirror descent").click()
    page.wait_for_url("**/02_regularised_rl.html")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    context.close()


# The notation


def rows(text):
    """Return the cells of each row of a page's tables, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row, line in zip(cells, lines, strict=True) if "---" not in line and row[0] != "symbol"]


NOTATION = rows((DOCS / "notation.md").read_text(encoding="utf-8"))


def part(thing, name):
    """Return an attribute of a module, a class or its instances; True for one that only instances have."""
    if hasattr(thing, name):
        return getattr(thing, name)
    if inspect.isclass(thing):
        declared = {field for base in thing.__mro__ for field in inspect.get_annotations(base)}
        if name in declared or any(
            re.search(rf"self\.{name}\b[^=\n]*= |self\.[^=\n]*, self\.{name} = ", inspect.getsource(base))
            for base in thing.__mro__[:-1]
            if base.__module__.startswith("pencourse")
        ):
            return True
    raise AttributeError(f"{thing} has no {name}")


def look_up(name):
    path, _, argument = name.rstrip(")").partition("(")
    thing = pencourse
    for step in path.split("."):
        if inspect.ismodule(thing) and not hasattr(thing, step):
            thing = importlib.import_module(f"{thing.__name__}.{step}")
        else:
            thing = part(thing, step)
    assert not argument or argument in inspect.signature(thing).parameters, name
    return thing


@pytest.mark.parametrize("row", NOTATION, ids=[row[0] for row in NOTATION])
def test_every_name_of_the_notation_exists(row):
    names = re.findall(r"`([^`]+)`", row[2])
    assert len(row) == 5 and names
    for name in names:
        look_up(name)


def test_a_name_that_is_not_there_is_seen():
    for name in ("MDP.rewards", "pbrl(stepsize)", "penalties.no_penalty"):
        with pytest.raises((AttributeError, AssertionError, ModuleNotFoundError)):
            look_up(name)


@cache
def prose(number):
    """Return the text of a lesson, without the spaces and braces that a formula does not need."""
    cells = nbformat.read(NUMBERS[number], as_version=4).cells
    return plain("\n".join(cell.source for cell in cells if cell.cell_type == "markdown"))


def plain(text):
    return re.sub(r"[\s{}]|\\[,;!]", "", text)


@pytest.mark.parametrize("row", NOTATION, ids=[row[0] for row in NOTATION])
def test_every_symbol_is_in_its_lesson(row):
    assert re.fullmatch(r"\d\d", row[4]) and int(row[4]) < 15
    if row[4] not in NUMBERS:
        pytest.skip(f"Lesson {row[4]} is not there yet.")
    for symbol in re.findall(r"\$([^$]+)\$", row[0]):
        assert plain(symbol) in prose(row[4]), symbol


# The results


def test_every_table_and_picture_of_the_experiments_is_shown():
    text = (DOCS / "results.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"\(results/([\w.]+)\)", text))
    assert shown == {path.name for path in (DOCS / "results").iterdir()}


# The glossary


def test_the_glossarys_words_are_in_their_lessons():
    entries = re.findall(r"^(\S.*)\n: (.+)$", (DOCS / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(entries) >= 30
    assert [term for term, _ in entries] == sorted((term for term, _ in entries), key=str.lower)
    for term, meaning in entries:
        (named,) = re.findall(r"\(lessons? (\d\d(?:(?:, | and )\d\d)*)\)\.$", meaning)
        forms = {form.strip().lower() for form in re.split(r"[,()]", term) if form.strip()}
        for number in re.findall(r"\d\d", named):
            if number in NUMBERS:
                text = "\n".join(c.source for c in nbformat.read(NUMBERS[number], as_version=4).cells).lower()
                assert any(form in text for form in forms), f"{term} is not in lesson {number}"


# The bibliography


def works(text):
    """Return (authors, title, year) of each work that a text names as `Authors, *Title* … (year)`."""
    named = re.findall(r"((?:al\.|[^*;.\n])*(?:\n[^*;.\n]+)?),\s+\*([^*\n]+(?:\n[^*\n]+)?)\*(?=([^*]*))", text)
    found = []
    for authors, title, after in named:
        years = re.findall(r"\b(?:19|20)\d\d\b", after.split(";")[0].split(". ")[0])
        if years:
            found.append((set(re.findall(r"[A-Z][\w'’-]{2,}", authors)), " ".join(title.split()), years[0]))
    return found


def entries():
    text = (DOCS / "bibliography.md").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith("- ")]


def references(path):
    return nbformat.read(path, as_version=4).cells[-1].source.split("## References")[1]


def docstrings(path):
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    return "\n\n".join(ast.get_docstring(node) or "" for node in nodes if isinstance(node, kinds))


SOURCES = {path.stem: references(path) for path in LESSONS} | {
    path.relative_to(ROOT).as_posix(): text
    for path in sorted((ROOT / "pencourse").rglob("*.py"))
    if "checks" not in path.parts and works(text := docstrings(path))
}


@pytest.mark.parametrize("where", SOURCES)
def test_every_work_that_is_cited_is_in_the_bibliography(where):
    for authors, title, year in works(SOURCES[where]):
        start = title.split(":")[0].lower()
        there = [entry for entry in entries() if start in entry.lower() and year in entry]
        assert there, f"{title} ({year})"
        assert any(author in there[0] for author in authors), f"{authors}, {title}"


@lessons
def test_citations_are_understood(lesson):
    """The pattern finds as many works as there are bullets in a lesson's References, at least."""
    text = SOURCES[lesson.stem]
    bullets = [line for line in text.splitlines() if line.startswith("- ") and "documentation" not in line]
    assert len(works(text)) >= len(bullets) > 0


def test_the_bibliography_is_in_order_and_names_nothing_that_is_not_cited():
    names = [re.match(r"- (?:von |van der |van |d')?(\w+)", entry)[1].lower() for entry in entries()[1:]]
    assert names == sorted(names)
    cited = {title.split(":")[0].lower() for text in SOURCES.values() for _, title, _ in works(text)}
    idle = [entry for entry in entries() if not any(title in entry.lower() for title in cited)]
    assert idle == []
