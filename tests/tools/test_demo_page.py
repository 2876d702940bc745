"""`tools/demo_page.py` in a headless browser."""

import importlib.util
import json
import os
import re
import signal
import socket
import urllib.error
import urllib.request

import numpy as np
import pytest
from finished_runs import make_run
from optional import find_chromium
from PIL import Image

from finegrain.datasets.manifest import open_data_set

in_browser = pytest.mark.optional("gradio", "playwright", "chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE = 60_000
NAMES = ["<img src=x onerror=document.title='owned'>", "**two**", "3", "四"]


@pytest.fixture(scope="module")
def page(drawn_data, tmp_path_factory, start_script):
    """The address of a served page."""
    folder = tmp_path_factory.mktemp("runs") / "<b>multi"
    make_run(folder, drawn_data, classes=NAMES)
    kept = tmp_path_factory.mktemp("kept")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = start_script(
        "tools/demo_page.py", "--run", folder, "--port", port, "--most-megabytes", "0.2",
        env={**os.environ, "TMPDIR": str(kept)},
    )  # fmt: skip
    line = next((line for line in process.stdout if line.startswith("page ")), "")
    assert line, process.stderr.read()
    yield line.split()[1]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.endswith("stopped\n") and "Traceback" not in err
    assert list(kept.glob("finegrain-demo-*")) == []


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


@pytest.mark.optional("gradio")
def test_other_programs_are_held_to_the_limits(page):
    def status(path, data=None, **headers):
        request = urllib.request.Request(page + path, data, headers)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as got:
                return got.status
        except urllib.error.HTTPError as error:
            return error.code

    assert status("") == 200
    assert status("", Host="elsewhere.example") == 400
    assert status("gradio_api/upload", b"x" * 400_000) == 413
    assert status("gradio_api/run/classify", json.dumps({"data": [None]}).encode()) != 200
    port = int(page.rstrip("/").rpartition(":")[2])
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    for address in others - {"127.0.0.1", "::1"}:
        with socket.socket() as outside:
            outside.settimeout(2)
            assert address.startswith("127.") or outside.connect_ex((address, port)) != 0


def test_mistakes_are_one_sentence(drawn_data, tmp_path, script_here, monkeypatch):
    status, _, err = script_here("tools/demo_page.py", "--run", tmp_path, "--port", "0")
    assert status == 2 and ("--port 0" in err or "gradio" in err)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "gradio" else find(name)
    )
    status, _, err = script_here("tools/demo_page.py", "--run", tmp_path)
    assert status == 2 and "pip install -r requirements-demo.txt" in err
    assert len(err.splitlines()) == 1
