"""What README and docs/ show is there: links, anchors, images, commands and their flags."""

import dataclasses
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = sorted([REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *DOCS.glob("*.md")])
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^    .*\n?", re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z]+:")
COMMAND = re.compile(r"\bpython (?P<script>[\w/]+\.py)(?P<arguments>[^\n|;]*)")
FLAG = re.compile(r"--([a-z][a-z0-9-]*)")
PATH = re.compile(r"(?:benchmarks|finegrain|recipes|tests|tools)/[\w./]*")
MODULE = re.compile(r"finegrain(?:\.[a-z_]\w*)+")
FETCHED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=[\"']?https?:")


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """A page without its code."""
    return CODE.sub("", INDENTED.sub("", FENCE.sub("", read(page))))


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub and MkDocs make them."""
    plain = (heading.lower() for heading in HEADING.findall(FENCE.sub("", read(page))))
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading)) for heading in plain}


def shown_commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Script and flags of every command on a page."""
    for shown in COMMAND.finditer(read(page).replace("\\\n", " ")):
        arguments = shown["arguments"].partition("`")[0].partition(" #")[0]
        yield shown["script"], FLAG.findall(arguments)


def known_flags(script: str, monkeypatch) -> set[str]:
    """The flags that a script takes."""
    path = REPOSITORY / script
    monkeypatch.syspath_prepend(str(path.parent))
    spec = importlib.util.spec_from_file_location(f"shown_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    # Where dataclasses look up the types of their fields.
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    names = {field.name.replace("_", "-") for field in dataclasses.fields(module.Settings)}
    return names | {f"no-{name}" for name in names} | {"help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page):
    targets = [target for target in LINK.findall(prose(page)) if not ELSEWHERE.match(target)]
    for target in targets:
        name, _, anchor = target.partition("#")
        there = page.parent / name if name else page
        assert there.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(there), f"{page.name} links to {target}"
        assert page.parent != DOCS or there.parent == DOCS, f"{page.name} leaves docs by {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_that_is_shown_takes_its_flags(page, monkeypatch):
    for script, flags in shown_commands(page):
        assert (REPOSITORY / script).is_file(), f"{page.name} shows {script}"
        unknown = set(flags) - known_flags(script, monkeypatch)
        assert not unknown, f"{page.name} shows {script} with {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_and_module_that_is_named_is_there(page):
    named = CODE.findall(FENCE.sub("", read(page)))
    paths = [name for name in named if PATH.fullmatch(name)]
    modules = [found[0].replace(".", "/") for found in map(MODULE.match, named) if found]
    for name in paths + modules:
        path = REPOSITORY / name
        # The last part of a dotted name may be something in the module.
        there = (path, path.with_suffix(".py"), path.parent.with_suffix(".py"))
        assert any(place.exists() for place in there), f"{page.name} names {name}"


def test_the_pages_show_commands_at_all():
    shown = {script for page in PAGES for script, _ in shown_commands(page)}
    assert {"img2keras.py", "trick_tune.py", "recipes/merge_features.py"} <= shown


def test_the_readme_stays_short():
    assert len(read(REPOSITORY / "README.md").splitlines()) <= 150


@pytest.mark.slow
def test_the_examples_of_pairs_run(drawn_data, tmp_path, monkeypatch):
    examples = re.findall(r"```python\n(.*?)```", read(DOCS / "pairs.md"), re.DOTALL)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dogs").symlink_to(drawn_data)
    (tmp_path / "finegrain").symlink_to(REPOSITORY / "finegrain")
    monkeypatch.chdir(tmp_path)
    names = {}
    # The second goes on from the first.
    for example in examples:
        assert "epochs=3" in example
        exec(example.replace("epochs=3", "epochs=1, verbose=0"), names)
    assert len(names["towers"].outputs) == 3
    assert (tmp_path / "dogs.keras").is_file()


@pytest.mark.optional("mkdocs", "material")
def test_the_site_is_built_and_fetches_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "search" / "search_index.json").is_file()
    for page in DOCS.glob("*.md"):
        built = read(tmp_path / f"{page.stem}.html")
        assert not FETCHED.search(built), page.name
        # The one picture that Material would have drawn by a script from elsewhere.
        assert "mermaid" not in built, page.name
