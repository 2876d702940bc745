"""What a layout did not take from its source, in words."""

from collections.abc import Collection

from finegrain.datasets.layouts.layout import Layout, Record
from finegrain.datasets.layouts.listing import Listing

MOST_NAMES = 3


def left_out_lines(listing: Listing, layout: Layout, records: Collection[Record]) -> list[str]:
    """A line for each kind of thing left out, with their count and the first few.

    Files that are no images, images without a class, folders without images; of an index, what
    it lists and the reader could not use.
    """
    left_out = list(listing.left_out)
    if not layout.own_index:
        taken = {record.path for record in records}
        unlabelled = [path.name for path in listing.all_images if path not in taken]
        no_images = [path.name for path in listing.ignored + listing.broken_links]
        left_out += [
            ("hidden files and files that are no images", no_images),
            ("images without a class", unlabelled),
            ("folders without images", [name for name, got in listing.folders.items() if not got]),
            ("folders inside class folders", [path.name for path in listing.unentered]),
        ]
    return [f"ignored  {what}: {len(names)} ({_few(names)})" for what, names in left_out if names]


def _few(names: list[str]) -> str:
    return ", ".join(names[:MOST_NAMES]) + (", ..." if len(names) > MOST_NAMES else "")
