"""What a layout is: a way in which folders and file names tell the class of a photograph."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from finegrain.datasets.layouts.listing import Listing


@dataclass(frozen=True)
class Record:
    """One labelled photograph of a source, before anybody has opened it."""

    path: Path
    label: str
    id: str
    # Why there is nothing to open, where the source names an image it does not have.
    problem: str | None = None
    # The id that submissions call the class by, where it is not its name.
    category_id: str | None = None
    # Its file name in the data set, where that is not the one it has in the source.
    rename: str | None = None

    @property
    def file_name(self) -> str:
        return self.rename or self.path.name


@dataclass(frozen=True)
class Box:
    """Where in a photograph its object is, in pixels of the upright photograph.

    `left` and `top` count from the upper left corner; nothing is checked against the photograph.
    `where` names the line that says so.
    """

    left: float
    top: float
    width: float
    height: float
    where: str


@dataclass(frozen=True)
class OfficialSplit:
    """A split that the source brings along: image id -> `train` or `test`, and its file."""

    path: Path
    part_of: dict[str, str]


@dataclass(frozen=True)
class Layout:
    """A row of the table of layouts.

    `matches` looks at names only and is cheap; `read` yields the records in any order and raises
    `UserError` where the source breaks the layout's own rules. With `own_index` a file lists the
    images, wherever they stand below the source, and what else stands there does not matter.
    Some layouts bring a split or boxes along; these are read when they are wanted, and cover
    every record that has no problem.
    """

    name: str
    example: str
    matches: Callable[[Listing], bool]
    read: Callable[[Listing], Iterator[Record]]
    own_index: bool = False
    official_split: Callable[[Listing, Collection[Record]], OfficialSplit] | None = None
    boxes: Callable[[Listing, Collection[Record]], dict[str, Box]] | None = None
