"""`tools/demo_page.py` in a headless browser."""

import importlib.util
import re

import numpy as np
import pytest
from optional import find_chromium
from PIL import Image
from served_page import NAMES

from finegrain.datasets.manifest import open_data_set

in_browser = pytest.mark.optional("gradio", "playwright", "chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 60_000


@pytest.fixture
def tab(page):
    """A tab of the browser that has opened the page, and what it asked for and complained of."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        tab = browser.new_page()
        asked, errors = [], []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(page)
        tab.set_default_timeout(PATIENCE)
        tab.wait_for_selector("input[type=file]", state="attached")
        yield tab, errors
        browser.close()
        outside = [url for url in asked if not url.startswith((page, "data:", "blob:"))]
        assert outside == []


@in_browser
def test_one_photograph(tab, drawn_data):
    tab, errors = tab
    tab.set_input_files("input[type=file]", open_data_set(drawn_data).paths("train")[0])
    tab.wait_for_selector("text=/^[0-9]+%$/")
    text = tab.inner_text("body")
    for name in NAMES:
        assert name in text
    shares = [int(share) for share in re.findall(r"(\d+)%", text)]
    assert len(shares) == 4 and 98 <= sum(shares) <= 102
    tab.wait_for_function("document.querySelectorAll('.thumbnail-item img').length == 6")
    # The photograph is a training image, so it is the nearest to itself.
    assert tab.locator(".thumbnail-item").first.inner_text().startswith("1.00 ")
    tab.wait_for_function("[...document.images].every(image => image.naturalWidth > 0)")
    assert tab.title() == "<b>multi: 4 classes"
    assert errors == []


@in_browser
def test_two_photographs(tab, drawn_data):
    tab, errors = tab
    paths = open_data_set(drawn_data).paths("valid")
    tab.get_by_role("tab", name="Two photographs").click()
    panel = tab.get_by_role("tabpanel").filter(has_text="Another photograph")
    panel.locator("input[type=file]").first.set_input_files(paths[0])
    panel.locator("img").first.wait_for()
    assert "the same class\n" not in panel.inner_text()
    panel.locator("input[type=file]").last.set_input_files(paths[1])
    panel.get_by_text(re.compile("^[0-9]+%$")).first.wait_for()
    assert "The pair head gives" in panel.locator("textarea").input_value()
    tab.wait_for_function(
        "[...document.images].filter(image => image.offsetParent)"
        ".filter(image => image.naturalWidth > 0).length == 4"
    )
    assert errors == []


@in_browser
def test_what_is_no_photograph_is_refused_and_the_page_lives_on(tab, drawn_data, tmp_path):
    tab, _ = tab
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 no photograph")
    tab.set_input_files("input[type=file]", broken)
    tab.get_by_text("This file cannot be read").first.wait_for()
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    tab.reload()
    tab.wait_for_selector("input[type=file]", state="attached")
    tab.set_input_files("input[type=file]", tmp_path / "large.png")
    tab.get_by_text(re.compile("exceeds|maximum|too large", re.I)).first.wait_for()


def test_mistakes_are_one_sentence(drawn_data, tmp_path, script_here, monkeypatch):
    status, _, err = script_here("tools/demo_page.py", "--run", tmp_path, "--port", "0")
    assert status == 2 and ("--port" in err or "gradio" in err)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "gradio" else find(name)
    )
    status, _, err = script_here("tools/demo_page.py", "--run", tmp_path)
    assert status == 2 and "pip install -r requirements-demo.txt" in err
    assert len(err.splitlines()) == 1
