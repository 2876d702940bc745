"""Which known images are most like this one?

    python tools/similar.py --run runs/dogs --index data/dogs PHOTO.jpg ANOTHER.jpg
    python tools/similar.py --index features/xception.h5 --photos data/birds PHOTO.jpg

A label alone may be right or wrong; the photographs that the model finds most alike show what it
saw. They are those with the smallest cosine distance between the embeddings: 0 for the same
picture, 1 for nothing in common. Each is printed with its class, its distance and the split it
comes from, and `similar.jpg` shows them: the query to the left, its nearest beside it.

The index is a data set folder, or any folder of images, in itself or in folders of classes. Its
embeddings are computed once and stored in the run folder; stopped at any moment, the same command
goes on. It may also be a file of recipes/export_features.py, or any shard of one, beside which the
others stand: the photographs pass the backbone or the run that made it, which the file tells.

The search reads all embeddings and is exact. Of a million images or more it takes an
approximate index where usearch is installed, which is made once and stored too; `--search exact` or
`--search approximate` decide otherwise.
"""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from annotated_types import Interval

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import Suffixes, Threads
from finegrain.outputs import Output, OutputFile
from finegrain.read_ahead import default_workers

if TYPE_CHECKING:
    from finegrain.embeddings.known_images import SimilarIndex
    from finegrain.embeddings.nearest import Nearest

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
MOST_NAMED_FILES = 5


@dataclass
class Settings:
    """Find the images of an index that are most like the given ones."""

    # data set folder, or any folder of images, to look in; or an exported .h5 file
    index: Path
    # the images to look for
    images: tyro.conf.Positional[tuple[Path, ...]]
    # finished run, whose embeddings tell what is alike; of an exported file only where it has moved
    run: Path | None = None
    # exported file: its data set folder, whose photographs the sheet shows; without it, no sheet
    photos: Path | None = None
    # how many of the nearest
    k: Annotated[int, Interval(ge=1, le=100)] = 8
    # exact, or by an approximate index; auto takes one from a million images on, if it can
    search: Literal["auto", "exact", "approximate"] = "auto"
    # sheet of photographs to write, .jpg or .png
    output: Annotated[Path, Suffixes(*FORMATS)] = Path("similar.jpg")
    # on a CPU, compute with OpenVINO where it is installed and pays: faster by far
    openvino: bool = True
    # threads that decode images; by default one for each core, 16 at most
    workers: Threads = field(default_factory=default_workers)

    def outputs(self) -> list[Output]:
        """What is written."""
        return [OutputFile("--output", self.output, is_picture=True)]

    def check(self) -> None:
        """Refuse what is wrong whatever the run is, before Keras is loaded."""
        if not self.images:
            raise UserError("no image to look for; name one or several after the flags")
        if not self.is_export() and self.run is None:
            raise UserError(
                f"--index {self.index} is no exported .h5 file; give with --run the run whose "
                "embeddings tell what is alike"
            )
        if self.photos is not None and not self.is_export():
            raise UserError(
                "--photos goes with an exported .h5 file as --index; leave it out, since a folder "
                "holds its photographs"
            )
        if self.photos is not None and not self.photos.is_dir():
            raise UserError(f"--photos {self.photos} is no folder; give the data set exported")

    def is_export(self) -> bool:
        """Whether the index is a file rather than a folder."""
        return self.index.suffix == ".h5" and not self.index.is_dir()


def main(settings: Settings) -> None:
    settings.check()
    check_images(settings.images)
    from finegrain.embeddings.approximate import check_usearch
    from finegrain.embeddings.nearest import unit_rows
    from finegrain.embeddings.search import open_search

    if settings.search == "approximate":
        check_usearch()
    with opened(settings) as index:
        tell_unreadable(index)
        if settings.k > len(index):
            raise UserError(
                f"--k {settings.k} asks for more images than the {len(index)} readable ones "
                f"of {settings.index}; ask for fewer"
            )
        query = unit_rows(embed(settings))
        found = open_search(index.rows, settings.search, settings.workers).nearest(
            query, settings.k
        )
    tell_nearest(settings, index, found)
    if settings.is_export() and settings.photos is None:
        print("\nno sheet: --photos says where the photographs are")
    else:
        draw(settings, index, found)


def opened(settings: Settings):
    """The index, to be used in a `with`."""
    if settings.is_export():
        from finegrain.embeddings.exported_index import open_exported_index

        return open_exported_index(settings.index, settings.photos)
    from finegrain.embeddings.stored import open_index

    return open_index(settings.run, settings.index, settings.openvino, settings.workers)


def check_images(images: tuple[Path, ...]) -> None:
    """Refuse images that cannot be read.

    Raises:
        UserError: names the first.
    """
    from finegrain.decode import UnreadableImage, open_rgb

    reasons = []
    for path in images:
        try:
            open_rgb(path)
        except UnreadableImage as error:
            reasons.append(f"{path} cannot be read ({error})")
    if reasons:
        more = f", nor can {len(reasons) - 1} more" if len(reasons) > 1 else ""
        raise UserError(f"{reasons[0]}{more}; give images that can")


def embed(settings: Settings):
    """The embeddings of the images to look for, (Q,D)."""
    import numpy as np

    from finegrain.decode import read_pixels
    from finegrain.embeddings.exported_index import exported_source
    from finegrain.embeddings.source import run_source
    from finegrain.features.compute import FeatureComputer
    from finegrain.models.heads import EMBEDDING
    from finegrain.stores.row_layout import RowKind

    how = settings.run, settings.openvino, len(settings.images)
    source = exported_source(settings.index, *how) if settings.is_export() else run_source(*how)
    engine = source.engine(settings.openvino, len(settings.images), None)
    compute = FeatureComputer(engine, {EMBEDDING: RowKind((source.width,), "float32")})
    pixels = (read_pixels(path, source.frame) for path in settings.images)
    return np.concatenate([compute(image[None])[EMBEDDING] for image in pixels])


def tell_unreadable(index: "SimilarIndex") -> None:
    lost = index.unreadable
    if lost:
        print(f"warning: {len(lost)} of {len(lost) + len(index)} images cannot be read:")
        for image in lost[:MOST_NAMED_FILES]:
            print(f"  {image.path}: {image.reason}")


def tell_nearest(settings: Settings, index: "SimilarIndex", nearest: "Nearest") -> None:
    print(f"index    {len(index)} images in {settings.index}")
    for path, distances, rows in zip(settings.images, *nearest, strict=True):
        print(f"\n{path}")
        for place, (distance, row) in enumerate(zip(distances, rows, strict=True), start=1):
            known = index.image(row)
            print(f"  {place:3}  {distance:.4f}  {known.label or '-'}  {known.name}")


def draw(settings: Settings, index: "SimilarIndex", nearest: "Nearest") -> None:
    from finegrain.evaluation.contact_sheet import MOST_ROWS, Tile, contact_sheet
    from finegrain.own_pictures import sign
    from finegrain.whole_files import written_whole

    sheet = []
    for path, distances, rows in zip(settings.images, *nearest, strict=True):
        tiles = [Tile(path, "looked for", path.name)]
        for distance, row in zip(distances, rows, strict=True):
            known = index.image(row)
            note = " · ".join(filter(None, (f"distance {distance:.4f}", known.split)))
            tiles.append(Tile(known.path, known.label or known.path.name, note))
        sheet.append(tiles)
    picture = contact_sheet(sheet[:MOST_ROWS])
    # Pillow takes a write that a full disk cut short for a whole one.
    held = io.BytesIO()
    picture.save(held, FORMATS[settings.output.suffix.lower()], quality=90)
    with written_whole(settings.output) as beside:
        beside.write_bytes(held.getvalue())
        sign(beside)
    left_out = f", without the last {len(sheet) - MOST_ROWS}" if len(sheet) > MOST_ROWS else ""
    print(f"\nwrote    {settings.output}{left_out}")


if __name__ == "__main__":
    run_command(main, Settings)
