"""The papers that the code names are cited, and no others."""

import re

from commands import REPOSITORY

ARXIV = re.compile(r"arXiv\s+(\d{4}\.\d{4,5})")
LINK = re.compile(r"https://arxiv\.org/abs/(\d{4}\.\d{4,5})")


def read(path) -> str:
    return path.read_text(encoding="utf-8")


def test_what_the_code_names_is_cited_and_nothing_else():
    folders = ("finegrain", "recipes", "tools", "tests")
    paths = [path for folder in folders for path in (REPOSITORY / folder).rglob("*.py")]
    paths += REPOSITORY.glob("*.py")
    named = {found for path in paths for found in ARXIV.findall(read(path))}
    assert len(named) > 10
    assert set(LINK.findall(read(REPOSITORY / "CITATION.cff"))) == named
    assert set(LINK.findall(read(REPOSITORY / "docs" / "sources.md"))) == named
    for page in [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]:
        assert set(LINK.findall(read(page)) + ARXIV.findall(read(page))) <= named, page.name
