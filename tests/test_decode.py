"""Every kind of image file is read properly or refused with a reason."""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from finegrain.decode import UnreadableImage, open_rgb, open_sized, read_pixels
from finegrain.frame import Frame


@pytest.fixture
def scene() -> Image.Image:
    """A smooth picture with four different corners: red, green, blue and white."""
    corners = Image.new("RGB", (2, 2))
    for corner, colour in zip(
        [(0, 0), (1, 0), (0, 1), (1, 1)],
        [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)],
        strict=True,
    ):
        corners.putpixel(corner, colour)
    return corners.resize((120, 80), Image.Resampling.BILINEAR)


def assert_like(image: Image.Image, expected: Image.Image, mean_error: float) -> None:
    assert image.mode == "RGB"
    assert image.size == expected.size
    difference = np.abs(np.asarray(image, int) - np.asarray(expected.convert("RGB"), int))
    assert difference.mean() <= mean_error


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("RGB", "png"),
        ("RGB", "bmp"),
        ("RGB", "jpg"),
        ("RGB", "webp"),
        ("RGB", "tiff"),
        ("L", "png"),
        ("L", "jpg"),
        ("P", "gif"),
        ("P", "png"),
        ("1", "png"),
        ("CMYK", "jpg"),
    ],
)
def test_every_kind_of_pixel_becomes_rgb(tmp_path: Path, scene, mode: str, suffix: str):
    stored = scene.convert(mode)
    path = tmp_path / f"image.{suffix}"
    stored.save(path)
    assert_like(open_rgb(path), stored, mean_error=6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff"])
def test_exif_orientation_is_applied(tmp_path: Path, scene, orientation: int, suffix: str):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    scene.save(path, exif=exif)
    image, size = open_sized(path)
    assert_like(image, ImageOps.exif_transpose(Image.open(path)), mean_error=0)
    assert size == image.size
    assert size == ((120, 80) if orientation < 5 else (80, 120))


@pytest.mark.parametrize("orientation", [1, 6])
def test_reduced_decoding_keeps_the_picture_and_names_the_full_size(
    tmp_path: Path, scene, orientation: int
):
    large = scene.resize((1600, 1200))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "large.jpg"
    large.save(path, exif=exif, quality=95)
    reduced, size = open_sized(path, at_least=(100, 200))
    full = open_rgb(path)
    assert size == full.size
    assert min(reduced.size) >= 200 and reduced.width < full.width
    assert_like(reduced, full.resize(reduced.size, Image.Resampling.BOX), mean_error=2)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path):
    ramp = np.linspace(0, 65535, 256 * 16).reshape(16, 256).astype(np.uint16)
    path = tmp_path / "ramp.png"
    Image.fromarray(ramp).save(path)
    assert_like(open_rgb(path), Image.fromarray((ramp // 256).astype(np.uint8)), mean_error=0)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white(tmp_path: Path, mode: str):
    image = Image.new(mode, (8, 8), (0,) * len(mode))
    path = tmp_path / "clear.png"
    image.save(path)
    assert open_rgb(path).getpixel((4, 4)) == (255, 255, 255)


def test_transparent_palette_colour_is_laid_over_white(tmp_path: Path):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 0, 200, 10, 10])
    image.putpixel((0, 0), 1)
    path = tmp_path / "clear.png"
    image.save(path, transparency=0)
    rgb = open_rgb(path)
    assert rgb.getpixel((4, 4)) == (255, 255, 255)
    assert rgb.getpixel((0, 0)) == (200, 10, 10)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tiff"])
def test_animations_show_their_first_frame(tmp_path: Path, suffix: str):
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue")]
    path = tmp_path / f"moving.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    red, green, blue = open_rgb(path).getpixel((10, 5))
    assert red > 200 and green < 50 and blue < 50


def test_formats_of_the_web_and_of_older_cameras_are_read(tmp_path: Path, scene):
    path = tmp_path / "image.jpg"
    for kind in ("MPO", "JPEG2000", "TGA", "ICO", "PCX", "DIB"):
        scene.resize((48, 48)).save(path, format=kind)
        assert open_rgb(path).size == (48, 48), kind


def test_content_tells_the_format_not_the_name(tmp_path: Path, scene):
    path = tmp_path / "renamed.jpg"
    scene.save(path, format="GIF")
    assert_like(open_rgb(path), scene, mean_error=30)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "bmp"])
@pytest.mark.parametrize("at_least", [None, (20, 20)])
def test_a_truncated_file_is_refused(tmp_path: Path, scene, suffix: str, at_least):
    path = tmp_path / f"cut.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(UnreadableImage):
        open_rgb(path, at_least)


def test_reasons_are_plain_and_leave_out_the_name(tmp_path: Path):
    empty = tmp_path / "empty.jpg"
    empty.touch()
    text = tmp_path / "text.jpg"
    text.write_text("this is no image")
    for path, reason in [
        (empty, "empty file"),
        (text, "no image format that Pillow knows"),
        (tmp_path / "absent.jpg", "no such file"),
        (tmp_path, "is a directory"),
    ]:
        with pytest.raises(UnreadableImage) as caught:
            open_rgb(path)
        assert str(caught.value) == reason


def test_postscript_is_not_run(tmp_path: Path, scene, monkeypatch):
    path = tmp_path / "program.jpg"
    scene.save(path, format="EPS")
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("was run"))
    with pytest.raises(UnreadableImage, match="no image format that Pillow knows"):
        open_rgb(path)


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [9_500, 30_000])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused_before_decoding(tmp_path: Path, side: int):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_that_claims(side, side))
    with pytest.raises(UnreadableImage, match="limit of 89478485"):
        open_rgb(path)


def test_a_damaged_camera_note_does_not_cost_the_photograph(tmp_path: Path, scene):
    path = tmp_path / "note.jpg"
    scene.save(path, exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff\x12\x01")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert open_rgb(path).size == (120, 80)


def test_pixels_have_the_asked_shape_and_squeeze(tmp_path: Path, scene):
    path = tmp_path / "image.png"
    scene.save(path)
    pixels = read_pixels(path, Frame(30, 50))
    assert pixels.shape == (30, 50, 3) and pixels.dtype == np.uint8
    expected = np.asarray(scene.resize((50, 30), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(pixels, expected)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), suffix=st.sampled_from(["jpg", "png", "gif", "webp", "tiff", "bmp", "ppm"]))
@pytest.mark.filterwarnings("ignore")
def test_damage_anywhere_is_read_or_refused_never_a_crash(tmp_path: Path, scene, data, suffix):
    whole = tmp_path / f"whole.{suffix}"
    if not whole.exists():
        scene.resize((40, 30)).save(whole)
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        # Headers are where the surprises are.
        place = data.draw(st.integers(0, min(len(content), 200) - 1))
        content[place] = data.draw(st.integers(0, 255))
    damaged = tmp_path / f"damaged.{suffix}"
    damaged.write_bytes(bytes(content[: data.draw(st.integers(1, len(content)))]))
    try:
        assert open_rgb(damaged, (8, 8)).mode == "RGB"
    except UnreadableImage as error:
        assert str(error)
