"""Drawn photographs: a data set of look-alike classes that needs no download.

    python -m finegrain.drawn.collection --output demo/photos --per-class 66 \\
        --test-output demo/test --test-key demo/test_key.csv

Twelve breeds of one four-legged body plan, told apart by ear, tail, coat, legs, snout and trunk;
everything else in the pictures is nuisance. Files are named `typeid_randhash.jpg`, as step 1
(`img2keras.py`) takes them; the unlabelled test pictures are named `randhash.jpg`, and their
classes stand in the key, a CSV of `id,label`.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Interval
from tqdm import tqdm

from finegrain.command import run_command
from finegrain.drawn.breed import Breed, demo_breeds, pretraining_breeds, type_id
from finegrain.drawn.photo import draw_photo
from finegrain.errors import UserError
from finegrain.flag_types import CountOrZero, Seed
from finegrain.outputs import Output, OutputFile, OutputFolder
from finegrain.whole_files import remove_partials, written_whole

# Test pictures are numbered from here, so that no number of training pictures reaches them.
_FIRST_TEST_INDEX = 1_000_000
PerClass = Annotated[int, Interval(ge=0, le=_FIRST_TEST_INDEX)]


@dataclass
class Settings:
    """Draw a data set of look-alike breeds."""

    output: Path  # folder for the labelled pictures, typeid_randhash.jpg
    per_class: PerClass = 66  # labelled pictures of each breed
    test_output: Path | None = None  # folder for unlabelled test pictures, randhash.jpg
    test_key: Path | None = None  # CSV of id,label for the test pictures
    test_per_class: PerClass = 40  # test pictures of each breed
    # draw this many breeds that the demo does not use instead of the demo's
    pretraining: CountOrZero = 0
    seed: Seed = 0  # the same seed draws the same files

    def outputs(self) -> list[Output]:
        """What is written; the photographs replace nothing."""
        folders = {"--output": self.output, "--test-output": self.test_output}
        return [
            *(OutputFolder(flag, path, is_shared=True) for flag, path in folders.items() if path),
            OutputFile("--test-key", self.test_key),
        ]


def write_photos(
    folder: Path,
    breeds: Iterable[Breed],
    per_class: int,
    seed: int,
    first_index: int = 0,
    labelled: bool = True,
) -> list[tuple[str, int]]:
    """Draw photographs of each breed into a folder, as JPEG files of differing quality.

    A picture depends on the seed, its breed and its number alone, so a file that is already
    there is left as it is, and asking for more pictures keeps those drawn before.

    Args:
        folder: made when absent.
        breeds: the classes.
        per_class: pictures of each breed.
        seed: non-negative; source of all chance.
        first_index: number of the first picture of each breed.
        labelled: name the files `typeid_randhash.jpg`, or `randhash.jpg` only.

    Returns:
        (file name, type id) of every picture, breed by breed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Pictures that are there are not written again, which would sweep beside each.
    remove_partials(folder)
    written = []
    photos = list(_plan(breeds, per_class, seed, first_index))
    bar = tqdm(photos, desc=str(folder), unit="picture", leave=False, disable=None)
    for breed, digest, source in bar:
        label = type_id(breed)
        name = f"{label}_{digest}.jpg" if labelled else f"{digest}.jpg"
        if not (folder / name).exists():
            _write_whole(folder / name, _jpeg(breed, np.random.default_rng(source)))
        written.append((name, label))
    return written


def _plan(
    breeds: Iterable[Breed], per_class: int, seed: int, first_index: int
) -> Iterator[tuple[Breed, str, list[int]]]:
    for breed in breeds:
        for index in range(first_index, first_index + per_class):
            source = [seed, type_id(breed), index]
            digest = hashlib.sha256("/".join(map(str, source)).encode()).hexdigest()[:12]
            yield breed, digest, source


def _jpeg(breed: Breed, rng: np.random.Generator) -> bytes:
    photo = draw_photo(breed, rng)
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=int(rng.integers(35, 93)))
    return buffer.getvalue()


def _write_whole(path: Path, content: bytes) -> None:
    with written_whole(path) as beside:
        beside.write_bytes(content)


def write_key(path: Path, photos: list[tuple[str, int]]) -> None:
    """Write the answers of unlabelled pictures, a CSV of `id,label` sorted by id.

    Args:
        path: the CSV; its folder is made when absent.
        photos: (file name, type id) pairs as `write_photos` returns them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    rows = sorted((Path(name).stem, label) for name, label in photos)
    csv.writer(text, lineterminator="\n").writerows([("id", "label"), *rows])
    _write_whole(path, text.getvalue().encode())


def main(settings: Settings) -> None:
    """Draw what the settings ask for and say what was made."""
    if (settings.test_output is None) != (settings.test_key is None):
        raise UserError("--test-output and --test-key belong together: give both or neither.")
    wanted = settings.pretraining
    breeds = pretraining_breeds(wanted) if wanted else demo_breeds()
    photos = write_photos(settings.output, breeds, settings.per_class, settings.seed)
    print(f"{settings.output}: {len(photos)} pictures of {len(breeds)} breeds")
    if settings.test_output is not None and settings.test_key is not None:
        test = write_photos(
            settings.test_output,
            breeds,
            settings.test_per_class,
            settings.seed,
            _FIRST_TEST_INDEX,
            labelled=False,
        )
        write_key(settings.test_key, test)
        print(f"{settings.test_output}: {len(test)} unlabelled pictures, key {settings.test_key}")


if __name__ == "__main__":
    run_command(main, Settings)
