"""Drawn photographs: a data set of look-alike classes that needs no download.

    python -m finegrain.drawn.collection --output demo/photos --per-class 66 \\
        --test-output demo/test --test-key demo/test_key.csv

Twelve breeds of one four-legged body plan, told apart by ear, tail, coat, legs, snout and trunk;
everything else in the pictures is nuisance. Files are named `typeid_randhash.jpg`, as step 1
(`img2keras.py`) takes them; the unlabelled test pictures are named `randhash.jpg`, and their
classes stand in the key, a CSV of `id,label`.
"""

import functools
import hashlib
import multiprocessing
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Interval
from tqdm import tqdm

from finegrain.command import run_command
from finegrain.decode import read_pixels
from finegrain.drawn.breed import PARTS, Breed, demo_breeds, pretraining_breeds, type_id
from finegrain.drawn.photo import draw_photo
from finegrain.errors import UserError
from finegrain.flags import CountOrZero, Seed
from finegrain.frame import Frame
from finegrain.outputs import Output, OutputFile, OutputFolder
from finegrain.whole_files import remove_partials, write_encoded, written_whole

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
    folder: Path, breeds: Iterable[Breed], per_class: int, seed: int, unlabelled: bool = False
) -> list[tuple[str, int]]:
    """Draw photographs of each breed into a folder, as JPEG files of differing quality.

    A picture depends on the seed, its breed and its number alone, so a file that is already
    there is left as it is, and asking for more pictures keeps those drawn before. The `unlabelled`
    are other pictures of the breeds, for tests. The folder is made when absent.

    Returns (file name, type id) of every picture, breed by breed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Pictures that are there are not written again, which would sweep beside each.
    remove_partials(folder)
    written = []
    first = _FIRST_TEST_INDEX if unlabelled else 0
    numbers = range(first, first + per_class)
    photos = [(breed, type_id(breed), index) for breed in breeds for index in numbers]
    bar = tqdm(photos, desc=str(folder), unit="picture", leave=False, disable=None)
    for breed, label, index in bar:
        digest = hashlib.sha256(f"{seed}/{label}/{index}".encode()).hexdigest()[:12]
        path = folder / (f"{digest}.jpg" if unlabelled else f"{label}_{digest}.jpg")
        if not path.exists():
            rng = np.random.default_rng([seed, label, index])
            photo = draw_photo(breed, rng)
            quality = int(rng.integers(35, 93))
            write_encoded(path, functools.partial(photo.save, format="JPEG", quality=quality))
        written.append((path.name, label))
    return written


def write_key(path: Path, photos: list[tuple[str, int]]) -> None:
    """Write the answers to unlabelled pictures, as `write_photos` returned them: `id,label`."""
    rows = sorted((Path(name).stem, label) for name, label in photos)
    with written_whole(path) as beside:
        beside.write_bytes("".join(f"{a},{b}\n" for a, b in [("id", "label"), *rows]).encode())


def draw_arrays(
    folder: Path, breeds: list[Breed], per_class: int, size: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw on all cores and read: pixels (N, size, size, 3) uint8, and (N,) places in `breeds`."""
    draw = functools.partial(write_photos, folder, per_class=per_class, seed=seed)
    read = functools.partial(read_pixels, frame=Frame(size, size))
    # Fresh processes: a fork would copy TensorFlow's locks without the threads that free them.
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        lists = pool.map(draw, [[breed] for breed in breeds])
        paths = [folder / name for photos in lists for name, _ in photos]
        pixels = list(pool.map(read, paths, chunksize=64))
    return np.stack(pixels), np.repeat(np.arange(len(breeds)), per_class)


def part_targets(breeds: list[Breed], labels: np.ndarray) -> dict[str, np.ndarray]:
    """One-hot "breed" (N, breeds) and parts (N, choices) of N labels, places in `breeds`."""
    answers = {"breed": np.eye(len(breeds), dtype="float32")[labels]}
    for part, choices in PARTS.items():
        places = np.array([choices.index(getattr(breed, part)) for breed in breeds])
        answers[part] = np.eye(len(choices), dtype="float32")[places[labels]]
    return answers


def main(settings: Settings) -> None:
    """Draw what the settings ask for and say what was made."""
    if (settings.test_output is None) != (settings.test_key is None):
        raise UserError("--test-output and --test-key belong together: give both or neither.")
    wanted = settings.pretraining
    breeds = pretraining_breeds(wanted) if wanted else demo_breeds()
    photos = write_photos(settings.output, breeds, settings.per_class, settings.seed)
    print(f"{settings.output}: {len(photos)} pictures of {len(breeds)} breeds")
    if settings.test_output is not None and settings.test_key is not None:
        folder, per_class = settings.test_output, settings.test_per_class
        test = write_photos(folder, breeds, per_class, settings.seed, unlabelled=True)
        write_key(settings.test_key, test)
        print(f"{settings.test_output}: {len(test)} unlabelled pictures, key {settings.test_key}")


if __name__ == "__main__":
    run_command(main, Settings)
