"""What a browser may send, by requests made by hand."""

import asyncio
import os

import pytest

from finegrain.demo.gate import UploadLimit


def answer(limit, method="POST", **headers):
    """Status of a request, 200 where it was passed on."""
    sent = []
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": "/upload", "headers": raw}

    async def send(message):
        sent.append(message)

    asyncio.run(limit(scope, None, send))
    return sent[0]["status"]


@pytest.fixture
def limit(tmp_path):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})

    return UploadLimit(app, tmp_path, most_bytes=1000, most_files=3)


def test_large_requests_and_those_of_unknown_length_are_refused(limit):
    assert answer(limit, content_length="1000") == 200
    assert answer(limit, content_length="1001") == 413
    assert answer(limit) == 411
    assert answer(limit, content_length="-5") == 411
    assert answer(limit, transfer_encoding="chunked") == 411
    assert answer(limit, method="GET") == 200


def test_the_oldest_files_go_first(limit, tmp_path):
    for age, name in enumerate(["new", "folder/newer", "old", "folder/older", "oldest"]):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    assert answer(limit, content_length="9999") == 413
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 5
    assert answer(limit, content_length="5") == 200
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"new", "newer", "old"}


def test_what_is_no_request_passes(limit):
    passed = []

    async def app(scope, receive, send):
        passed.append(scope["type"])

    limit.app = app
    asyncio.run(limit({"type": "lifespan"}, None, None))
    assert passed == ["lifespan"]
