"""What the layouts that tell the class in the file name have in common."""

from collections.abc import Callable, Iterator

from finegrain.datasets.layouts.layout import Layout, Record
from finegrain.datasets.layouts.listing import Listing
from finegrain.errors import UserError

# From a file name without its suffix to (label, id), or None where the name does not fit.
Parse = Callable[[str], tuple[str, str] | None]


def named_files_layout(name: str, example: str, parse: Parse) -> Layout:
    """A layout whose images stand side by side in the source and carry their class in the name.

    It matches where most names fit, so that a single stray is named as an error instead of
    hiding the layout.
    """

    def matches(listing: Listing) -> bool:
        fitting = sum(parse(path.stem) is not None for path in listing.images)
        return len(listing.images) >= len(listing.in_folders) and 2 * fitting > len(listing.images)

    def read(listing: Listing) -> Iterator[Record]:
        if not listing.images:
            raise UserError(
                f"{listing.folder} itself holds no images named {example}; give the folder that "
                "does with --source, or another --layout"
            )
        strays = [path.name for path in listing.images if parse(path.stem) is None]
        if strays:
            more = f" and {len(strays) - 1} more" if len(strays) > 1 else ""
            raise UserError(
                f"the file name {strays[0]}{more} in {listing.folder} does not tell its class as "
                f"{example} does; rename it or move it away"
            )
        for path in listing.images:
            if (told := parse(path.stem)) is not None:
                label, identity = told
                yield Record(path, label, identity)

    return Layout(name, example, matches, read)
