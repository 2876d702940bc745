"""A small Market-1501: drawn animals in the place of people, under its names."""

from pathlib import Path

import numpy as np

from finegrain.drawn.breed import demo_breeds
from finegrain.drawn.photo import draw_photo

WIDTH, HEIGHT = 64, 128
PEOPLE, LOOKED_FOR = (2, 7, 10), (1, 3)


def draw_market(folder: Path, seed: int = 0) -> Path:
    """Three people to learn, two to look for, junk and distractors; each seen by two cameras."""
    breeds = demo_breeds()
    rng = np.random.default_rng(seed)

    def draw(part: str, identity: int, camera: int, frame: int, box: int, breed: int) -> None:
        label = "-1" if identity < 0 else f"{identity:04d}"
        path = folder / part / f"{label}_c{camera}s1_{frame:06d}_{box:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo = draw_photo(breeds[breed], rng)
        photo.resize((WIDTH, HEIGHT)).save(path, quality=85)

    for place, identity in enumerate(PEOPLE):
        for number in range(8):
            draw("bounding_box_train", identity, 1 + number % 2, 100 + number, 1, place)
    for place, identity in enumerate(LOOKED_FOR, start=len(PEOPLE)):
        for camera in (1, 2):
            draw("query", identity, camera, 51, 0, place)
            for box in (1, 2):
                draw("bounding_box_test", identity, camera, 51 + box, box, place)
    for number in range(3):
        draw("bounding_box_test", -1, 1 + number % 2, 9 + number, 3, 6)
        draw("bounding_box_test", 0, 1 + number % 2, 9 + number, 4, 7)
    (folder / "query" / "Thumbs.db").touch()
    draw("gt_bbox", 1, 1, 51, 1, 3)
    return folder
