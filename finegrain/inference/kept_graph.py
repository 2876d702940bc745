"""The converted graph of a finished model, kept in a file: answers then need no Keras.

The file says of which model it is, by the digest of `model.keras`, which stays the truth: a graph
of another model, OpenVINO or processor is not opened, and one that is damaged neither.
"""

import json
import platform
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from finegrain.inference.opened import Inference
from finegrain.inference.openvino_engine import OpenVINOEngine, load_openvino
from finegrain.records import Damaged, Typed, check_type
from finegrain.whole_files import written_whole

ABOUT, GRAPH, WEIGHTS = "about.json", "graph.xml", "graph.bin"


class About(Typed):
    """Which model a graph answers as, how it shall be computed, and for which machine that holds.

    Attributes:
        model: SHA-256 of the model's file.
        precision: one of `PRECISION_NAMES`, which agreed with Keras.
        note: how well.
    """

    model: str
    precision: str
    note: str
    openvino: str
    processor: str


def keep_graph(file: Path, model_digest: str, inference: Inference) -> None:
    """Write the graph of an opened model, where OpenVINO computes it, to a file.

    Raises:
        UserError: the disk is full, or the folder cannot be written to.
    """
    engine = inference.compute
    if not isinstance(engine, OpenVINOEngine):
        return
    about = About(model=model_digest, precision=engine.precision, note=inference.note, **_here())
    with tempfile.TemporaryDirectory() as folder, written_whole(file) as beside:
        graph = Path(folder, GRAPH)
        load_openvino().save_model(engine.graph, str(graph), compress_to_fp16=False)
        with zipfile.ZipFile(beside, "w") as archive:
            archive.writestr(ABOUT, json.dumps(about.model_dump()))
            for part in (graph, graph.with_name(WEIGHTS)):
                archive.write(part, part.name)


def open_kept_graph(
    file: Path, model_digest: str, outputs: Sequence[int] | None = None
) -> Inference | None:
    """The model of a kept graph, opened; None where there is none for this model and machine.

    Args:
        file: as `keep_graph` wrote it.
        model_digest: of the model that shall answer.
        outputs: places of those to be given; None for all.
    """
    if not file.is_file():
        return None
    try:
        with zipfile.ZipFile(file) as archive:
            about = check_type(json.loads(archive.read(ABOUT)), About)
            if about.model != model_digest or not _here().items() <= about.model_dump().items():
                return None
            # Zip keeps a checksum of each part, which reading it compares.
            parts = archive.read(GRAPH), archive.read(WEIGHTS)
        graph = load_openvino().Core().read_model(*parts)
        return Inference(OpenVINOEngine(graph, about.precision, outputs), about.note)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, Damaged, ImportError, RuntimeError):
        # Damaged, or OpenVINO is gone or broken: Keras answers, and keeps a sound one.
        return None


def _here() -> dict[str, str]:
    """What a precision was chosen on."""
    core = load_openvino().Core()
    return {
        "openvino": load_openvino().__version__,
        "processor": f"{platform.machine()} {core.get_property('CPU', 'FULL_DEVICE_NAME')}",
    }
