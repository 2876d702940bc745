"""A page to try a run on in the browser.

    pip install -r requirements-demo.txt
    python tools/demo_page.py --run runs/dogs

Drop a photograph: its classes with their probabilities, the parts that speak for the likeliest one
(Grad-CAM) and the training images most like it. Drop two: are they of the same class? A run of
froze_fine_tune.py answers with its pair head, others with the cosine of the embeddings.

The page is for this machine alone (127.0.0.1). It needs no internet and reports nothing to anybody;
what other sites ask of it is refused, and no file but an upload is read for a visitor. Photographs
may be 10 MB large, other files are not taken; they and the page's pictures lie in a temporary
folder that holds 200 files at most and goes when the page is stopped (Ctrl-C).
"""

import os
import signal
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Interval

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.quiet import load_keras

if TYPE_CHECKING:
    import gradio

ADDRESS = "127.0.0.1"
MEGABYTE = 1_000_000
# What surrounds a file in a request.
ENVELOPE = 100_000
MOST_FILES = 200
MOST_WAITING = 16


@dataclass
class Settings:
    """Serve a page on this machine that shows what a run makes of photographs."""

    # run folder
    run: Path
    # where the run's data set stands now, if it has moved
    data: Path | None = None
    # port of the page; by default the first free one from 7860 on
    port: Annotated[int, Interval(ge=1, le=65535)] | None = None
    # largest photograph to take, in megabytes
    most_megabytes: Annotated[float, Interval(gt=0, le=1000)] = 10.0
    # show the nearest training images, whose embeddings are computed at the first start
    nearest: bool = True


def main(settings: Settings) -> None:
    check(settings)
    silence_reports()
    load_keras()
    from finegrain.demo.answers import DemoModels
    from finegrain.runs.finished_run import open_finished_run

    run = open_finished_run(settings.run)
    images, note = None, ""
    if settings.nearest:
        images, note = training_images(settings)
    answers = DemoModels(run, images)
    with tempfile.TemporaryDirectory(prefix="finegrain-demo-", ignore_cleanup_errors=True) as kept:
        # Gradio reads it when it is imported.
        os.environ["GRADIO_TEMP_DIR"] = kept
        from finegrain.demo.page import build_page

        page = build_page(answers, Path(kept), note)
        serve(page, Path(kept), settings)


def check(settings: Settings) -> None:
    """Refuse what can be seen to be wrong at once."""
    import importlib.util

    if importlib.util.find_spec("gradio") is None:
        raise UserError(
            "the page needs the package gradio, which is not installed: "
            "pip install -r requirements-demo.txt"
        )


def silence_reports() -> None:
    """Gradio and its parts tell their makers of each use, unless these are set."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_OFFLINE"] = "1"
    # A proxy for the internet has nothing to do with this machine's own page.
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), ADDRESS]))


def training_images(settings: Settings):
    """The training images to look for neighbours in; without a data set, why there are none."""
    from finegrain.demo.answers import open_training_images

    try:
        return open_training_images(settings.run, settings.data), ""
    except UserError as error:
        print(f"notice  no nearest training images: {error}")
        return None, f"No nearest training images: {error}"


def serve(page: "gradio.Blocks", kept: Path, settings: Settings) -> None:
    """Serve until Ctrl-C."""
    import gradio
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from finegrain.demo.gate import OwnRequests, UploadLimit
    from finegrain.demo.page import CSS
    from finegrain.demo.photograph_requests import PhotographRequests

    most_bytes = round(settings.most_megabytes * MEGABYTE)
    middleware = [
        # Another site that points its own name at this machine is not answered.
        Middleware(TrustedHostMiddleware, allowed_hosts=[ADDRESS, "localhost"]),
        Middleware(OwnRequests),
        Middleware(
            UploadLimit, folder=kept, most_bytes=most_bytes + ENVELOPE, most_files=MOST_FILES
        ),
        Middleware(PhotographRequests, folder=kept),
    ]
    page.queue(max_size=MOST_WAITING, default_concurrency_limit=1, api_open=False)
    try:
        _, address, _ = page.launch(
            server_name=ADDRESS,
            server_port=settings.port,
            share=False,
            inbrowser=False,
            prevent_thread_lock=True,
            quiet=True,
            show_error=True,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            strict_cors=True,
            max_file_size=most_bytes,
            theme=gradio.themes.Base(font=["sans-serif"], font_mono=["monospace"]),
            css=CSS,
            app_kwargs={"middleware": middleware, "docs_url": None, "redoc_url": None},
        )
    except OSError as error:
        raise UserError(
            f"the page cannot be served at port {settings.port or '7860 to 7959'} ({error}); "
            "name a free one with --port"
        ) from error
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    print(f"page    {address} (Ctrl-C ends it)", flush=True)
    # In steps, since on Windows nothing interrupts an endless wait.
    while not stopped.wait(1):
        pass
    page.close(verbose=False)
    print("\nstopped", flush=True)


if __name__ == "__main__":
    run_command(main, Settings)
