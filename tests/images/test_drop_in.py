"""The iterators give what Keras's own give: images, labels, order, chance."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from finegrain.decode import read_pixels
from finegrain.errors import UserError
from finegrain.frame import Frame
from finegrain.images.drop_in import FusedImageDataGenerator, ImageDataGenerator

RANGES = dict(
    rotation_range=45,
    width_shift_range=0.1,
    height_shift_range=3.0,
    shear_range=0.2,
    zoom_range=0.2,
    horizontal_flip=True,
    vertical_flip=True,
    validation_split=0.3,
)
TOLERANCE = 0.02
CLASSES = ("ape", "bee", "cow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Eleven smooth photographs of three classes, none so large that it is read at half size."""
    folder = tmp_path_factory.mktemp("flow")
    rng = np.random.default_rng(0)
    for number in range(11):
        path = folder / CLASSES[number % 3] / f"{number}.{'jpg' if number % 2 else 'png'}"
        path.parent.mkdir(exist_ok=True)
        few = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        few.resize((50, 44), Image.Resampling.BICUBIC).save(path)
    return folder


@pytest.fixture(scope="module")
def table(folder) -> pd.DataFrame:
    rows = [
        {
            "filename": path.relative_to(folder).as_posix(),
            "class": path.parent.name,
            "weight": float(number),
            "height": number * 2.0,
        }
        for number, path in enumerate(sorted(folder.glob("*/*")))
    ]
    return pd.DataFrame(rows)


def assert_same_batches(flow, workers: int = 3, tolerance: float = TOLERANCE, **generator):
    """Two epochs and a bit, batch by batch, and NumPy's chance after them."""
    originals, ours = [], []
    for kind, batches, options in (
        (ImageDataGenerator, originals, {}),
        (FusedImageDataGenerator, ours, {"workers": workers}),
    ):
        np.random.seed(4)
        iterator = flow(kind(**RANGES | generator), **options)
        batches += [next(iterator) for _ in range(2 * len(iterator) + 1)]
        known = (iterator.n, iterator.batch_size, getattr(iterator, "class_indices", None))
        batches.append((known, len(iterator), np.random.random()))
    assert ours.pop() == originals.pop()
    for mine, original in zip(ours, originals, strict=True):
        for part, expected in zip(flat(mine), flat(original), strict=True):
            assert part.dtype == expected.dtype and part.shape == expected.shape
            difference = np.abs(part.astype(np.float64) - expected)
            assert difference.max() <= (tolerance if part.ndim == 4 else 0)


def flat(batch) -> list[np.ndarray]:
    if isinstance(batch, list | tuple):
        return [array for part in batch for array in flat(part)]
    return [batch]


@pytest.mark.parametrize("workers", [1, 3, None])
@pytest.mark.parametrize("seed", [None, 8])
def test_folders_batch_by_batch(folder, workers, seed):
    assert_same_batches(
        lambda generator, **options: generator.flow_from_directory(
            folder, (24, 32), batch_size=4, seed=seed, interpolation="bilinear", **options
        ),
        workers,
    )


@pytest.mark.parametrize(
    "options",
    [
        {"class_mode": "sparse", "shuffle": False},
        {"class_mode": "binary", "classes": ["bee", "cow"]},
        {"class_mode": "input"},
        {"class_mode": None, "subset": "validation"},
        {"color_mode": "grayscale"},
        {"color_mode": "rgba", "subset": "training"},
        {"interpolation": "nearest"},
        {"keep_aspect_ratio": True},
    ],
    ids=str,
)
def test_options_of_folders(folder, options):
    options = {"interpolation": "bilinear", "batch_size": 4, "seed": 1} | options
    assert_same_batches(
        lambda generator, **more: generator.flow_from_directory(folder, (24, 32), **options, **more)
    )


@pytest.mark.parametrize(
    "generator",
    [
        {"rescale": 1 / 255},
        {"samplewise_center": True, "samplewise_std_normalization": True},
        {"channel_shift_range": 30.0},
        {"fill_mode": "wrap"},
        {"fill_mode": "constant", "cval": 99.0},
        {"data_format": "channels_first"},
        # Draws between one image's parameters and the next's, as it may in the original.
        {"preprocessing_function": lambda image: image + np.random.random()},
    ],
    ids=lambda generator: "-".join(generator),
)
def test_options_of_the_generator(folder, generator):
    assert_same_batches(
        lambda kind, **more: kind.flow_from_directory(
            folder, (24, 32), batch_size=4, seed=2, interpolation="bilinear", **more
        ),
        **generator,
    )


@pytest.mark.parametrize(
    "options",
    [
        {"weight_col": "weight"},
        {"class_mode": "raw", "y_col": "height"},
        {"class_mode": "multi_output", "y_col": ["height", "weight"]},
        {"class_mode": "sparse", "subset": "training"},
        {"class_mode": None},
    ],
    ids=str,
)
def test_tables_batch_by_batch(folder, table, options):
    assert_same_batches(
        lambda generator, **more: generator.flow_from_dataframe(
            table,
            str(folder),
            target_size=(24, 32),
            batch_size=4,
            seed=3,
            interpolation="bilinear",
            **options,
            **more,
        )
    )


def test_tables_with_several_labels_an_image(folder, table):
    several = table.assign(**{"class": [["ape", name] for name in table["class"]]})
    assert_same_batches(
        lambda generator, **more: generator.flow_from_dataframe(
            several,
            str(folder),
            target_size=(24, 32),
            batch_size=4,
            seed=3,
            interpolation="bilinear",
            **more,
        )
    )


@pytest.mark.parametrize("with_more", [False, True])
def test_arrays_batch_by_batch(with_more):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (10, 12, 14, 3)).astype(np.float32)
    labels, weights = np.arange(10), rng.random(10)
    inputs = (images, [rng.random((10, 2))]) if with_more else images
    for options in ({}, {"y": labels}, {"y": labels, "sample_weight": weights}):
        assert_same_batches(
            lambda generator, options=options, **more: generator.flow(
                inputs, batch_size=3, seed=5, **options, **more
            ),
            rescale=0.5,
        )
    assert images.max() > 200


def test_bytes_stay_bytes_when_asked(folder):
    assert_same_batches(
        lambda generator, **more: generator.flow_from_directory(
            folder, (24, 32), batch_size=4, seed=2, interpolation="bilinear", **more
        ),
        dtype="uint8",
        tolerance=1,
    )
    iterator = FusedImageDataGenerator(rotation_range=20, dtype="uint8").flow_from_directory(
        folder, (24, 32), seed=2, interpolation="bilinear"
    )
    assert next(iterator)[0].dtype == np.uint8


def test_batches_by_number_are_the_originals(folder):
    for number in (2, 0):
        ours, expected = (
            kind(**RANGES).flow_from_directory(
                folder, (24, 32), batch_size=4, seed=2, interpolation="bilinear"
            )[number]
            for kind in (FusedImageDataGenerator, ImageDataGenerator)
        )
        assert np.abs(ours[0] - expected[0]).max() <= TOLERANCE
        np.testing.assert_array_equal(ours[1], expected[1])


def test_pictures_are_saved_as_the_original_saves_them(folder, tmp_path):
    names = []
    for kind in (FusedImageDataGenerator, ImageDataGenerator):
        target = tmp_path / kind.__name__
        target.mkdir()
        next(
            kind(**RANGES).flow_from_directory(
                folder, (24, 32), seed=2, interpolation="bilinear", save_to_dir=str(target)
            )
        )
        names.append(sorted(path.name for path in target.iterdir()))
    assert names[0] == names[1] and len(names[0]) == 11


def test_bilinear_photographs_are_read_as_the_rest_of_the_project_reads_them(tmp_path):
    large = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    (tmp_path / "some").mkdir()
    path = tmp_path / "some" / "large.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(large).save(path, exif=exif)
    iterator = FusedImageDataGenerator().flow_from_directory(
        tmp_path, (20, 24), interpolation="bilinear", class_mode=None
    )
    np.testing.assert_array_equal(next(iterator)[0], read_pixels(path, Frame(20, 24)))


def test_a_broken_photograph_is_named(tmp_path):
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "broken.jpg").write_bytes(b"no picture")
    iterator = FusedImageDataGenerator().flow_from_directory(tmp_path, interpolation="bilinear")
    with pytest.raises(UserError, match=r"broken\.jpg can no longer be read"):
        next(iterator)


def test_keras_trains_on_it(folder):
    import keras

    model = keras.Sequential(
        [keras.Input((24, 32, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    )
    model.compile("sgd", "mse")
    for dtype in ("float32", "uint8"):
        iterator = FusedImageDataGenerator(**RANGES, dtype=dtype).flow_from_directory(
            folder, (24, 32), batch_size=4, interpolation="bilinear"
        )
        history = model.fit(iterator, epochs=2, verbose=0).history
        assert len(history["loss"]) == 2


def test_orders_by_number_and_by_next_are_drawn_as_the_original_draws_them(folder):
    drawn = []
    for kind in (FusedImageDataGenerator, ImageDataGenerator):
        np.random.seed(7)
        iterator = kind().flow_from_directory(
            folder, (8, 8), batch_size=4, class_mode="sparse", interpolation="bilinear"
        )
        labels = [iterator[2][1], iterator[0][1]]
        iterator.on_epoch_end()
        labels += [iterator[1][1], next(iterator)[1], next(iterator)[1]]
        iterator.reset()
        labels += [next(iterator)[1], np.random.random(1)]
        with pytest.raises(ValueError, match="3"):
            iterator[3]
        drawn.append(np.concatenate(labels))
    np.testing.assert_array_equal(*drawn)
