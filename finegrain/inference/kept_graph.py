"""The converted graph of a finished model, kept in a file: answers then need no Keras.

The file says of which model it is, by the digest of `model.keras`, which stays the truth: a graph
of another model, OpenVINO or processor is not opened, and one that is damaged neither.
"""

import json
import platform
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from finegrain.inference.opened import Inference
from finegrain.inference.openvino_engine import PRECISION_NAMES, OpenVINOEngine, load_openvino
from finegrain.records import Damaged, Typed, check_type
from finegrain.whole_files import written_whole

if TYPE_CHECKING:
    import openvino

ABOUT, GRAPH, WEIGHTS = "about.json", "graph.xml", "graph.bin"
UNUSABLE = (
    *(OSError, ValueError, KeyError, ImportError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, EOFError, Damaged),
)


class About(Typed):
    """Which model a graph answers as, how it shall be computed, and for which machine that holds.

    Attributes:
        model: SHA-256 of the model's file.
        precision: one of `PRECISION_NAMES`, which agreed with Keras.
        note: how well.
        facts: what else the model would have to be loaded for.
    """

    model: str
    precision: str
    note: str
    openvino: str
    processor: str
    facts: dict[str, str] = {}


def keep_graph(
    file: Path, model_digest: str, inference: Inference, facts: Mapping[str, str] | None = None
) -> None:
    """Write the graph of an opened model, where OpenVINO computes it, to a file.

    Raises:
        UserError: the disk is full, or the folder cannot be written to.
    """
    engine = inference.compute
    if not isinstance(engine, OpenVINOEngine):
        return
    about = About(
        model=model_digest,
        precision=engine.precision,
        note=inference.note,
        facts=dict(facts or {}),
        **_here(),
    )
    with tempfile.TemporaryDirectory() as folder, written_whole(file) as beside:
        graph = Path(folder, GRAPH)
        load_openvino().save_model(engine.graph, str(graph), compress_to_fp16=False)
        with zipfile.ZipFile(beside, "w") as archive:
            archive.writestr(ABOUT, json.dumps(about.model_dump()))
            for part in (graph, graph.with_name(WEIGHTS)):
                archive.write(part, part.name)


@dataclass(frozen=True)
class KeptGraph:
    """A graph that was kept, for the model and the machine that were asked for."""

    about: About
    graph: "openvino.Model"

    @classmethod
    def find(cls, file: Path, model_digest: str) -> "KeptGraph | None":
        """The graph in a file that `keep_graph` wrote; None if it is of another model or machine.

        None too where it is damaged, or OpenVINO is gone or broken: Keras answers then, and keeps
        a sound one.
        """
        if not file.is_file():
            return None
        try:
            with zipfile.ZipFile(file) as archive:
                about = check_type(json.loads(archive.read(ABOUT)), About)
                fits = about.model == model_digest and about.precision in PRECISION_NAMES
                if not fits or not _here().items() <= about.model_dump().items():
                    return None
                # Zip keeps a checksum of each part, which reading it compares.
                parts = archive.read(GRAPH), archive.read(WEIGHTS)
            return cls(about, load_openvino().Core().read_model(*parts))
        except UNUSABLE:
            return None

    def open(self, outputs: Sequence[int] | None = None) -> Inference:
        """The model, opened as it was when its graph was kept.

        Args:
            outputs: places of those to be given; None for all.
        """
        return Inference(OpenVINOEngine(self.graph, self.about.precision, outputs), self.about.note)


def _here() -> dict[str, str]:
    """What a precision was chosen on."""
    core = load_openvino().Core()
    return {
        "openvino": load_openvino().__version__,
        "processor": f"{platform.machine()} {core.get_property('CPU', 'FULL_DEVICE_NAME')}",
    }
