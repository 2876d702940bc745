"""Test images that stand among the labelled ones: the same file, or another of the same picture."""

import numpy as np
from PIL import Image

from finegrain.leaderboard.known_test import known_test_images


def picture(seed, size=(160, 120)):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype="uint8")
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def test_copies_are_found_and_nothing_else(tmp_path):
    labelled = [tmp_path / f"known-{seed}.png" for seed in range(4)]
    for seed, path in enumerate(labelled):
        picture(seed).save(path)
    picture(0).save(tmp_path / "same.png")
    picture(1).resize((80, 60)).save(tmp_path / "smaller.jpg", quality=60)
    picture(9).save(tmp_path / "new.png")
    # Test images that are copies of each other alone tell nothing.
    picture(9).save(tmp_path / "new-too.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    names = ("same.png", "new.png", "broken.png", "smaller.jpg", "new-too.png")
    test = {name.partition(".")[0]: tmp_path / name for name in names}
    kept = tmp_path / "search" / "known-test.json"
    kept.parent.mkdir()
    assert known_test_images(test, labelled, kept, 1) == ["same", "smaller"]
    for damaged in ("5", '["gone"]', "[[]]", "[", ""):
        kept.write_text(damaged)
        assert known_test_images(test, labelled, kept, 1) == ["same", "smaller"]
    for path in test.values():
        path.unlink()
    # What was found is not looked for again.
    assert known_test_images(test, labelled, kept, 1) == ["same", "smaller"]
