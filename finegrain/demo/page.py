"""The page: two tabs, built with Gradio."""

import html
from pathlib import Path
from typing import Any

import gradio
import numpy as np

from finegrain.decode import UnreadableImage, open_rgb
from finegrain.demo.answers import DemoModels
from finegrain.demo.photograph_requests import NOT_UPLOADED, uploaded_file
from finegrain.explain.pictures import SHOWN_SIDE, Photograph, percentage, read_photograph

NEIGHBOURS = 6
THUMBNAIL = 240
# Uploads and pictures older than this go, looked for as often, in seconds.
KEPT_SECONDS = 900
# How the model is asked.
ONE_AT_A_TIME = {"api_name": False, "concurrency_id": "model", "show_progress": "minimal"}
CSS = """
.gradio-container { font-family: system-ui, sans-serif; }
.gradio-container main { width: 100%; max-width: 1100px !important; margin: 0 auto !important; }
.grid-wrap { min-height: 0 !important; max-height: none !important; }
.grid-container { grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)) !important; }
"""


def build_page(answers: DemoModels, uploads: Path, note: str = "") -> gradio.Blocks:
    """The page of a run; a note tells the user what is missing.

    Of the folder that Gradio keeps uploads in, and of no other, files are read for a visitor.
    """
    run = answers.run
    title = f"{run.folder.resolve().name}: {len(run.classes)} classes"
    with gradio.Blocks(
        title=title, analytics_enabled=False, delete_cache=(KEPT_SECONDS, KEPT_SECONDS)
    ) as page:
        gradio.HTML(f"<h1>{html.escape(title)}</h1><p>{html.escape(note)}</p>")
        with gradio.Tab("One photograph"):
            _one_photograph(answers, uploads)
        with gradio.Tab("Two photographs: the same class?"):
            _two_photographs(answers, uploads)
    return page


def _one_photograph(answers: DemoModels, uploads: Path) -> None:
    with gradio.Row():
        given = _upload("Drop a photograph", uploads)
        heat = _picture("What speaks for the likeliest class")
        label = gradio.Label(label="Classes", num_top_classes=5)
    with gradio.Column(visible=answers.training_images is not None):
        gradio.HTML("<h2>Nearest training images, with the cosine of their embeddings</h2>")
        fit = {"height": "auto", "object_fit": "contain", "allow_preview": True}
        nearest = gradio.Gallery(show_label=False, columns=NEIGHBOURS, buttons=[], **fit)

    def answer(path: Path | None) -> tuple[Any, ...]:
        if path is None:
            return None, None, None
        photo = _read(path, answers)
        probabilities = answers.probabilities(photo)
        if not np.isfinite(probabilities).all():
            raise _refusal("The model answers with numbers that are not finite.")
        likeliest = int(probabilities.argmax())
        named = dict(zip(answers.run.classes, map(float, probabilities), strict=True))
        return named, answers.overlay(photo, likeliest), _gallery(answers, photo)

    given.change(answer, given, [label, heat, nearest], **ONE_AT_A_TIME)


def _two_photographs(answers: DemoModels, uploads: Path) -> None:
    with gradio.Row():
        givens = [_upload(label, uploads) for label in ("One photograph", "Another photograph")]
    label = gradio.Label(label="Do they show the same class?")
    said = gradio.Textbox(label="How it was told", lines=2, interactive=False)
    with gradio.Row():
        heats = [_picture("What speaks for it in the first"), _picture("and in the second")]

    def answer(path_1: Path | None, path_2: Path | None) -> tuple[Any, ...]:
        if path_1 is None or path_2 is None:
            return None, "", None, None
        found = answers.pair(_read(path_1, answers), _read(path_2, answers))
        cosine = f"The embeddings have a cosine of {found.cosine:.3f}"
        if found.same is None:
            text = (
                f"{cosine}, where 1 means alike. That is no probability: this run has no head for "
                "pairs, one of froze_fine_tune.py has."
            )
            return f"cosine {found.cosine:.3f}", text, None, None
        named = {"the same class": found.same, "another class": 1 - found.same}
        kind = "the same class" if found.says_same else "another class"
        text = (
            f"The pair head gives {percentage(found.same)} for the same class; the pictures below "
            f"show what speaks for {kind}. {cosine}."
        )
        return named, text, *(found.overlays or (None, None))

    for given in givens:
        given.change(answer, givens, [label, said, *heats], **ONE_AT_A_TIME)


def _upload(label: str, uploads: Path) -> gradio.Image:
    upload = gradio.Image(
        label=label, type="filepath", sources=["upload", "clipboard"], height=320, buttons=[]
    )

    def preprocess(payload: Any) -> Path | None:
        if payload is None or payload.path is None:
            return None
        path = uploaded_file(payload.path, uploads)
        if path is None:
            raise _refusal(NOT_UPLOADED, "No photograph")
        return path

    # The file itself, so that it goes the way all photographs go: Gradio would decode it first.
    upload.preprocess = preprocess
    return upload


def _picture(label: str) -> gradio.Image:
    return gradio.Image(label=label, interactive=False, height=320, buttons=["fullscreen"])


def _read(path: Path, answers: DemoModels) -> Photograph:
    try:
        return read_photograph(path, answers.run.frame)
    except UnreadableImage as error:
        raise _refusal(f"This file cannot be read: {error}.", "No photograph") from error


def _refusal(message: str, title: str = "Error") -> gradio.Error:
    return gradio.Error(message, title=title, print_exception=False)


def _gallery(answers: DemoModels, photo: Photograph) -> list[tuple[np.ndarray, str]]:
    shown = []
    for near in answers.nearest(photo, NEIGHBOURS):
        try:
            image = open_rgb(near.path, at_least=(THUMBNAIL, THUMBNAIL))
        except UnreadableImage:
            # Gone since training: the others are still worth showing.
            continue
        image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
        shown.append((np.asarray(image), f"{near.similarity:.2f} {near.name}"))
    return shown
