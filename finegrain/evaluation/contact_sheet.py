"""A sheet of photographs: in each row a query, and beside it the images most like it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont, ImageOps

from finegrain.decode import UnreadableImage, open_rgb

TILE, GAP, CAPTION = 176, 10, 38
# Between the query and its neighbours.
BESIDE = 26
INK, PALE, GROUND, EMPTY, FRAME = "#1b1f24", "#626a73", "#ffffff", "#eef0f2", "#2563c9"
# As high as a JPEG can be.
MOST_ROWS = 65_500 // (TILE + CAPTION + GAP) - 1


@dataclass(frozen=True)
class Tile:
    """A photograph with two lines below it."""

    path: Path
    title: str
    note: str


def contact_sheet(rows: Sequence[Sequence[Tile]]) -> Image.Image:
    """Draw 1 to `MOST_ROWS` rows of photographs, the first of each framed; gaps say so."""
    if not 1 <= len(rows) <= MOST_ROWS:
        raise ValueError(f"`rows` must be 1 to {MOST_ROWS}. Received: {len(rows)}")
    longest = max(len(row) for row in rows)
    width = GAP + longest * (TILE + GAP) + BESIDE
    height = GAP + len(rows) * (TILE + CAPTION + GAP)
    sheet = Image.new("RGB", (width, height), GROUND)
    draw, title, note = ImageDraw.Draw(sheet), _font(13, bold=True), _font(12)
    for number, row in enumerate(rows):
        top = GAP + number * (TILE + CAPTION + GAP)
        for place, tile in enumerate(row):
            left = GAP + place * (TILE + GAP) + (BESIDE if place else 0)
            sheet.paste(_square(tile.path, note), (left, top))
            if place == 0:
                frame = (left - 3, top - 3, left + TILE + 2, top + TILE + 2)
                draw.rectangle(frame, outline=FRAME, width=3)
            below = top + TILE + 4
            draw.text((left, below), _shortened(tile.title, title), INK, title)
            draw.text((left, below + 17), _shortened(tile.note, note), PALE, note)
    return sheet


def _square(path: Path, font: ImageFont.FreeTypeFont) -> Image.Image:
    square = Image.new("RGB", (TILE, TILE), EMPTY)
    try:
        photo = ImageOps.contain(open_rgb(path, (TILE, TILE)), (TILE, TILE))
        square.paste(photo, ((TILE - photo.width) // 2, (TILE - photo.height) // 2))
    except UnreadableImage as error:
        place, text = (TILE / 2, TILE / 2), _shortened(str(error), font)
        ImageDraw.Draw(square).text(place, text, PALE, font, anchor="mm")
    return square


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    # The one font with many scripts that is there wherever matplotlib is.
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size)


def _shortened(text: str, font: ImageFont.FreeTypeFont) -> str:
    text = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
    if font.getlength(text) <= TILE:
        return text
    while text and font.getlength(text + "…") > TILE:
        text = text[:-1]
    return text + "…"
