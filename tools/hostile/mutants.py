"""Damaged photographs of five formats, and what is no photograph at all, by the folder."""

import io
import os
import socket
from pathlib import Path

import numpy as np
from PIL import Image

FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "gif": "GIF", "tif": "TIFF"}
MODES = ("RGB", "L", "P", "RGBA", "CMYK", "1", "I;16", "LA")
# Beginnings of formats, and lengths that no file has.
MARKS = (
    b"\xff\xd8\xff",
    b"\x89PNG",
    b"GIF89a",
    b"II*\x00",
    b"MM\x00*",
    b"RIFF",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"\x7f\xff\xff\xff",
)


def encoded(photo: Image.Image, suffix: str, rng: np.random.Generator) -> bytes:
    """A photograph as a whole file of a format, in one of the modes that it has."""
    modes = list(MODES)
    while True:
        mode = modes.pop(rng.integers(len(modes)))
        options = {}
        if suffix == "tif":
            # A JPEG inside a TIFF, of another mode, brings libtiff down as it is written.
            kinds = ["raw", "tiff_lzw", "tiff_deflate", "packbits"] + ["jpeg"] * (mode == "RGB")
            options["compression"] = kinds[rng.integers(len(kinds))]
        if suffix == "jpg" and rng.random() < 0.3:
            options["progressive"] = True
        buffer = io.BytesIO()
        try:
            image = photo.convert("I;16") if mode == "I;16" else photo.convert(mode)
            image.save(buffer, FORMATS[suffix], **options)
            return buffer.getvalue()
        except (OSError, ValueError, KeyError):
            if not modes:
                raise


def mutant(content: bytes, rng: np.random.Generator) -> bytes:
    """A copy with one to four damages."""
    hurt = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        _damage(hurt, rng)
    return bytes(hurt)


def _damage(hurt: bytearray, rng: np.random.Generator) -> None:
    if not hurt:
        return
    # Half of the damages fall where the headers stand.
    reach = len(hurt) if rng.random() < 0.5 else min(len(hurt), 200)
    start = int(rng.integers(reach))
    end = min(len(hurt), start + int(rng.integers(1, 64)))
    kind = rng.integers(7)
    if kind == 0:
        hurt[start] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        hurt[start:end] = rng.bytes(end - start)
    elif kind == 2:
        del hurt[start:]
    elif kind == 3:
        del hurt[start:end]
    elif kind == 4:
        hurt[start:start] = hurt[start:end] * int(rng.integers(1, 5))
    elif kind == 5:
        mark = MARKS[rng.integers(len(MARKS))]
        hurt[start : start + len(mark)] = mark
    else:
        hurt[start:end] = bytes(end - start)


def lay_out_mutants(folder: Path, photos: list[Path], count: int, rng: np.random.Generator) -> None:
    """Fill a folder with so many damaged files of all formats.

    Args:
        folder: made if missing.
        photos: whole photographs to start from.
        count: of the damaged files, `m0000.jpg` and so on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    suffixes, opened = list(FORMATS), [Image.open(photo).convert("RGB") for photo in photos]
    for number in range(count):
        suffix = suffixes[rng.integers(len(suffixes))]
        whole = encoded(opened[rng.integers(len(opened))], suffix, rng)
        (folder / f"m{number:04d}.{suffix}").write_bytes(mutant(whole, rng))


def lay_out_special_files(folder: Path, rng: np.random.Generator, odd_names: bool) -> list[str]:
    """Put what only looks like a photograph into a folder.

    Args:
        folder: made if missing.
        odd_names: names that a table of a line a file cannot hold too.

    Returns:
        what was put there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [name for name in SPECIAL if rng.random() < 0.5]
    for name in chosen:
        SPECIAL[name](folder)
    if odd_names:
        # One that an earlier case laid there may be a link to nothing.
        photos = sorted(folder.parent.rglob("*.jpg"))
        photo = next(path for path in photos if path.is_file()).read_bytes()
        for name in ("new\nline.jpg", "ünï ☃.jpg", "-dash.jpg", "a'b\"c.jpg", " .jpg"):
            (folder / name).write_bytes(photo)
        (Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.jpg"))).write_bytes(photo)
    return chosen


def _fifo(folder: Path) -> None:
    os.mkfifo(folder / "s-fifo.jpg")


def _link_to_fifo(folder: Path) -> None:
    os.mkfifo(folder / "s-pipe")
    (folder / "s-link-to-fifo.png").symlink_to("s-pipe")


def _socket(folder: Path) -> None:
    here = os.open(folder, os.O_RDONLY)
    try:
        # By way of /proc, since the path of a socket may have 107 bytes only.
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(f"/proc/self/fd/{here}/s-socket.jpg")
    finally:
        os.close(here)


def _folder_like_a_file(folder: Path) -> None:
    (folder / "s-folder.jpg").mkdir()


def _large(folder: Path) -> None:
    with (folder / "s-large.jpg").open("wb") as file:
        file.truncate(100_000_000)


SPECIAL = {
    "fifo": _fifo,
    "link to a fifo": _link_to_fifo,
    "socket": _socket,
    "folder named like a file": _folder_like_a_file,
    "large hole": _large,
    "empty file": lambda folder: (folder / "s-empty.jpg").touch(),
    "one byte": lambda folder: (folder / "s-byte.gif").write_bytes(b"G"),
    "dangling link": lambda folder: (folder / "s-dangling.jpg").symlink_to("nowhere.jpg"),
    "link to itself": lambda folder: (folder / "s-itself.jpg").symlink_to("s-itself.jpg"),
    "link to its folder": lambda folder: (folder / "s-loop").symlink_to("."),
    "link to a device": lambda folder: (folder / "s-zero.jpg").symlink_to("/dev/zero"),
}
