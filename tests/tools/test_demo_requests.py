"""What `tools/demo_page.py` answers to requests made by hand: other pages' and hostile ones."""

import json
import os
import socket

import pytest
from served_page import FILE_DATA, Visitor
from special_files import make_special_files

from finegrain.datasets.manifest import open_data_set

pytest.importorskip("starlette", reason="not installed: gradio, which brings starlette")
from finegrain.demo.photograph_requests import NOT_UPLOADED

pytestmark = [pytest.mark.optional("gradio"), pytest.mark.timeout(300)]


@pytest.fixture
def visitor(page):
    return Visitor(page)


@pytest.fixture
def photograph(drawn_data):
    return open_data_set(drawn_data).paths("train")[0]


@pytest.fixture
def uploads(page, kept):
    """The folder of uploads."""
    (folder,) = kept.glob("finegrain-demo-*")
    return folder


def test_other_programs_are_held_to_the_limits(page, visitor):
    assert visitor.request("")[0] == 200
    assert visitor.request("", Host="elsewhere.example")[0] == 400
    assert visitor.request("gradio_api/upload", b"x" * 400_000)[0] == 413
    port = int(page.rstrip("/").rpartition(":")[2])
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    for address in others - {"127.0.0.1", "::1"}:
        with socket.socket() as outside:
            outside.settimeout(2)
            assert address.startswith("127.") or outside.connect_ex((address, port)) != 0


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("gradio_api/run/classify", 404),
        ("gradio_api/call/answer", 404),
        ("gradio_api/process_recording", 404),
        ("gradio_api/upload/", 404),
        ("gradio_api/component_server", 404),
    ],
)
def test_nothing_else_can_be_posted_to(visitor, path, status):
    assert visitor.request(path, b"{}", Content_Type="application/json")[0] == status


def test_nothing_is_fetched_or_read_from_elsewhere(visitor, photograph):
    for place in ("https://example.com/a.jpg", str(photograph), "/etc/absent", "/dev/zero"):
        assert visitor.request(f"gradio_api/file={place}")[0] == 403


def test_other_pages_may_not_ask(page, visitor, photograph):
    content = photograph.read_bytes()
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", page.rstrip("/") + ".evil"):
        assert visitor.upload(content, Origin=origin)[0] == 403
        assert visitor.request("", Origin=origin)[0] == 403
    assert visitor.upload(content, Origin=page.rstrip("/"))[0] == 200


def test_only_photographs_are_kept(visitor, uploads, photograph):
    before = set(uploads.rglob("*"))
    content = photograph.read_bytes()
    for refused, reason in [
        (b"no photograph", "no image format that Pillow knows"),
        (content[: len(content) // 2], "truncated"),
        (b"", "empty file"),
    ]:
        status, answer = visitor.upload(refused)
        assert status == 415 and reason in answer.decode()
    assert visitor.upload(content, field="other")[0] == 400
    form = {"Content_Type": "multipart/form-data; boundary=b"}
    assert visitor.request("gradio_api/upload", b"no form at all", **form)[0] == 400
    assert visitor.request("gradio_api/upload", b"{}", Content_Type="application/json")[0] == 400
    assert set(uploads.rglob("*")) == before


def test_only_uploads_are_looked_at(visitor, uploads, photograph, tmp_path):
    status, answer = visitor.upload(photograph.read_bytes())
    (path,) = json.loads(answer)
    assert status == 200 and path.startswith(str(uploads))
    for given in ({"path": path}, {"path": path, "meta": FILE_DATA}):
        status, answer = visitor.ask(given)
        assert status == 200 and "confidences" in answer
    special = uploads / "special"
    special.mkdir()
    names = make_special_files(special)
    (special / "out.jpg").symlink_to(photograph)
    (tmp_path / "folder").symlink_to(photograph.parent)
    forbidden = [
        photograph,
        tmp_path / "absent.jpg",
        "/dev/zero",
        "/etc/passwd",
        uploads,
        f"{path}x",
        f"{uploads}/../../../../../etc/passwd",
        "\0",
        "",
        "http://127.0.0.1:1/photo.jpg",
        special / "out.jpg",
        os.path.relpath(photograph),
        *(special / name for name in names),
    ]
    for place in forbidden:
        for more in ({}, {"meta": FILE_DATA}, {"meta": FILE_DATA, "is_stream": True}):
            assert visitor.ask({"path": str(place), **more}) == (400, NOT_UPLOADED)
        assert visitor.ask({"path": path}, {"path": str(place)}, function=1)[0] == 400
    for odd in (str(photograph), 5, [path], {"url": "http://127.0.0.1:1/"}, {"path": [path]}):
        assert visitor.ask(odd) == (400, NOT_UPLOADED)
    # The one worker is as free as before.
    assert visitor.ask({"path": path})[0] == 200
