"""Every file is scanned or gets a reason; the order is that of the paths."""

import hashlib
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from finegrain.datasets.gather import Scan, scan_image, scan_images


def save(path: Path, size: tuple[int, int] = (90, 60), seed: int = 0, **options) -> Path:
    blobs = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(blobs).resize(size).save(path, **options)
    return path


def test_a_scan_says_what_the_file_is(tmp_path: Path):
    path = save(tmp_path / "a.png")
    scan = scan_image(path)
    assert scan.sha1 == hashlib.sha1(path.read_bytes()).hexdigest()
    assert (scan.bytes, scan.width, scan.height) == (path.stat().st_size, 90, 60)
    assert f"{scan.hash:016x}" == str(imagehash.phash(Image.open(path)))
    assert len(scan.thumbnail) == 64


def test_size_is_upright_and_that_of_the_whole_image(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    scan = scan_image(save(tmp_path / "turned.jpg", (1200, 800), exif=exif))
    assert (scan.width, scan.height) == (800, 1200)


def test_reasons_stand_in_the_place_of_what_cannot_be_read(tmp_path: Path):
    paths = [save(tmp_path / f"{number}.jpg", (300, 200), number) for number in range(40)]
    whole = paths[7].read_bytes()
    paths[7].write_bytes(whole[: len(whole) // 2])
    paths[11].write_bytes(b"")
    paths[13] = tmp_path / "absent.jpg"
    scans = list(scan_images(paths, workers=3))
    reasons = {place: scan for place, scan in enumerate(scans) if isinstance(scan, str)}
    assert reasons.keys() == {7, 11, 13}
    assert "truncated" in reasons[7]
    assert (reasons[11], reasons[13]) == ("empty file", "no such file")
    for path, scan in zip(paths, scans, strict=True):
        if isinstance(scan, Scan):
            assert scan.sha1 == hashlib.sha1(path.read_bytes()).hexdigest()
