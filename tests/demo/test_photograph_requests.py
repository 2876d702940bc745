"""Which paths count as uploads, whoever asks."""

import os
from types import SimpleNamespace

import pytest
from PIL import Image

pytest.importorskip("starlette", reason="not installed: gradio, which brings starlette")
from finegrain.demo.photograph_requests import NOT_UPLOADED, uploaded_file

pytestmark = pytest.mark.optional("gradio")


@pytest.fixture
def uploads(tmp_path):
    """A folder of uploads with one photograph, reached by a link as temporary folders may be."""
    (tmp_path / "real").mkdir()
    (tmp_path / "uploads").symlink_to("real")
    for place in ("uploads/photo.jpg", "secret.jpg"):
        Image.new("RGB", (9, 9)).save(tmp_path / place)
    return tmp_path / "uploads"


def test_uploads_are_regular_files_inside_the_folder(uploads):
    assert uploaded_file(str(uploads / "photo.jpg"), uploads) == uploads.resolve() / "photo.jpg"
    (uploads / "link.jpg").symlink_to("photo.jpg")
    assert uploaded_file(str(uploads / "link.jpg"), uploads) == uploads.resolve() / "photo.jpg"
    (uploads / "out.jpg").symlink_to("../secret.jpg")
    (uploads / "loop.jpg").symlink_to("loop.jpg")
    if hasattr(os, "mkfifo"):
        os.mkfifo(uploads / "pipe.jpg")
    for name in ("out.jpg", "loop.jpg", "pipe.jpg", "absent.jpg", "../secret.jpg", "", "\0", "."):
        assert uploaded_file(f"{uploads}/{name}", uploads) is None


def test_the_page_itself_looks_again(uploads):
    import gradio

    from finegrain.demo.page import _upload

    preprocess = _upload("photograph", uploads).preprocess
    assert preprocess(None) is None and preprocess(SimpleNamespace(path=None)) is None
    photo = preprocess(SimpleNamespace(path=str(uploads / "photo.jpg")))
    assert photo == uploads.resolve() / "photo.jpg"
    with pytest.raises(gradio.Error, match="not among the uploads") as caught:
        preprocess(SimpleNamespace(path=str(uploads.parent / "secret.jpg")))
    assert caught.value.message == NOT_UPLOADED
