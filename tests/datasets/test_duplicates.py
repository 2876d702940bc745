"""Duplicates, against the slow comparison of all pairs and on pictures altered in known ways."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from finegrain.datasets.duplicates import choose_bands, group_duplicates, near_pairs
from finegrain.datasets.gather import Scan, scan_images

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def slow_near_pairs(hashes: np.ndarray, distance: int) -> list[tuple[int, int]]:
    words = [int(word) for word in hashes]
    pairs = itertools.combinations(range(len(words)), 2)
    return [(i, j) for i, j in pairs if (words[i] ^ words[j]).bit_count() <= distance]


def slow_groups(sha1, hashes, thumbnails, distance) -> list[int]:
    groups = list(range(len(sha1)))
    near = set(slow_near_pairs(hashes, distance))
    for i, j in itertools.combinations(range(len(sha1)), 2):
        flat = min(thumbnails[i].std(), thumbnails[j].std()) < 2
        like = not flat and np.corrcoef(thumbnails[i], thumbnails[j])[0, 1] >= 0.9
        if sha1[i] == sha1[j] or ((i, j) in near and like):
            old, new = groups[j], groups[i]
            groups = [new if group == old else group for group in groups]
    first = list(dict.fromkeys(groups))
    return [first.index(group) for group in groups]


@st.composite
def clustered_hashes(draw) -> np.ndarray:
    """Hashes that lie near one another, as those of near-duplicates do."""
    hashes = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=8))
    for _ in range(draw(st.integers(0, 30))):
        word = draw(st.sampled_from(hashes))
        for bit in draw(st.lists(st.integers(0, 63), max_size=14)):
            word ^= 1 << bit
        hashes.append(word)
    return np.array(hashes, np.uint64)


@settings(max_examples=60, deadline=None)
@given(hashes=clustered_hashes(), distance=st.integers(0, 16))
def test_near_pairs_are_all_and_only_the_near_ones(hashes: np.ndarray, distance: int):
    distinct = np.unique(hashes)
    found = [tuple(pair) for pair in near_pairs(distinct, distance).tolist()]
    assert found == sorted(slow_near_pairs(distinct, distance))


@pytest.mark.parametrize("agreeing", [1, 2, 3, 4])
def test_any_number_of_agreeing_bands_finds_the_same(monkeypatch, agreeing: int):
    random = np.random.default_rng(0)
    hashes = np.unique(random.integers(0, 2**63, 150, dtype=np.uint64) & np.uint64(0xFF00FF0F0F))
    monkeypatch.setattr("finegrain.datasets.duplicates.choose_bands", lambda *_: agreeing)
    found = near_pairs(hashes, 5).tolist()
    assert len(found) > 10
    assert [tuple(pair) for pair in found] == sorted(slow_near_pairs(hashes, 5))


def test_more_hashes_need_more_agreeing_bands():
    assert choose_bands(1_000, 10) < choose_bands(1_000_000, 10)


@settings(max_examples=60, deadline=None)
@given(
    hashes=clustered_hashes(),
    distance=st.integers(0, 12),
    seed=st.integers(0, 1000),
)
def test_groups_equal_the_slow_reference(hashes: np.ndarray, distance: int, seed: int):
    random = np.random.default_rng(seed)
    count = len(hashes)
    # Two contrasted pictures, one of them noisy, and a faint one that is too flat to compare.
    pictures = random.integers(0, 256, (3, 64))
    pictures[0] = 100 + 3 * (pictures[0] // 128)
    kind = random.integers(0, 3, count)
    noise = random.integers(0, 90, (count, 64)) * (kind == 1)[:, None]
    thumbnails = np.clip(pictures[kind] + noise, 0, 255).astype(np.uint8)
    sha1 = [f"{number:040x}" for number in random.integers(0, count, count)]
    # Equal files have equal hashes and thumbnails.
    first = [sha1.index(digest) for digest in sha1]
    hashes, thumbnails = hashes[first], thumbnails[first]
    found = group_duplicates(sha1, hashes, thumbnails, distance).tolist()
    assert found == slow_groups(sha1, hashes, thumbnails, distance)


def test_negative_distance_finds_equal_files_only():
    thumbnails = np.tile(np.arange(64, dtype=np.uint8), (3, 1))
    hashes = np.zeros(3, np.uint64)
    assert group_duplicates(["a", "b", "a"], hashes, thumbnails, -1).tolist() == [0, 1, 0]
    assert group_duplicates(["a", "b", "a"], hashes, thumbnails, 0).tolist() == [0, 0, 0]


def scanned_groups(images: list[Image.Image], folder: Path) -> list[int]:
    paths = [folder / f"{number}.jpg" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        image.save(path, quality=90)
    scans = list(scan_images(paths))
    assert all(isinstance(scan, Scan) for scan in scans)
    thumbnails = np.array([np.frombuffer(scan.thumbnail, np.uint8) for scan in scans])
    hashes = np.array([scan.hash for scan in scans], np.uint64)
    return group_duplicates([scan.sha1 for scan in scans], hashes, thumbnails).tolist()


def picture(seed: int) -> Image.Image:
    blobs = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(blobs).resize((400, 300), Image.Resampling.BICUBIC)


def test_altered_copies_are_found_and_other_pictures_are_not(tmp_path: Path):
    original = picture(0)
    copies = [
        original.resize((200, 150)),
        ImageEnhance.Brightness(original).enhance(0.8),
        original.convert("L"),
        original.crop((4, 3, 400, 300)),
    ]
    others = [picture(seed) for seed in range(1, 20)]
    assert scanned_groups([original, *copies, *others], tmp_path) == [0] * 5 + list(range(1, 20))


def test_flat_pictures_are_no_duplicates(tmp_path: Path):
    greys = [Image.new("RGB", (90, 60), (level,) * 3) for level in (20, 120, 250)]
    assert scanned_groups(greys, tmp_path) == [0, 1, 2]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the photographs of ../shared are absent")
def test_real_near_duplicates_are_found(tmp_path: Path):
    # Seen by eye: two pairs of one photograph, and a daisy that hashes like a sunflower.
    names = ["7/117", "7/526", "10/121", "10/502", "10/861", "11/340"]
    paths = [SHARED / "flowers" / "train" / f"category_{name}.jpg" for name in names]
    assert scanned_groups([Image.open(path) for path in paths], tmp_path) == [0, 0, 1, 1, 2, 3]
