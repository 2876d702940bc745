"""The table of layouts, and which of them a source follows.

To add a layout: write a module beside this one with a `LAYOUT = Layout(...)`, or a row of
`by_name.py` where names tell it all, and put it in `known_layouts`. The first row that matches
wins, so layouts with an index file of their own stand before those that go by names.
"""

from finegrain.datasets.layouts import by_name, csv_labels, cub, json_annotations, market1501
from finegrain.datasets.layouts.layout import Layout, Listing
from finegrain.errors import UserError


def known_layouts() -> dict[str, Layout]:
    """The layouts by name, in the order in which they are tried."""
    table = (
        json_annotations.LAYOUT,
        cub.LAYOUT,
        csv_labels.LAYOUT,
        market1501.LAYOUT,
        by_name.CLASS_FOLDERS,
        by_name.TYPE_NUM,
        by_name.TYPEID_RANDHASH,
    )
    return {layout.name: layout for layout in table}


def find_layout(listing: Listing, name: str = "auto") -> Layout:
    """The layout that a source follows, or with a `name` other than `auto` the one of that name."""
    layouts = known_layouts()
    if name != "auto" and name not in layouts:
        choices = ", ".join(["auto", *layouts])
        raise UserError(f"there is no layout {name!r}; give --layout one of {choices}")
    forced = layouts.get(name)
    if forced is not None and forced.own_index:
        # It says itself, better than could be said here, which part of its index is missing.
        return forced
    if forced is None:
        for layout in layouts.values():
            if layout.matches(listing):
                return layout
    if not listing.all_images:
        raise UserError(_no_images(listing))
    if forced is not None:
        return forced
    examples = ", ".join(layout.example for layout in layouts.values())
    raise UserError(
        f"nothing tells the classes of the images in {listing.folder} (such as "
        f"{listing.images[0].name}): the known layouts are {examples}"
    )


def _no_images(listing: Listing) -> str:
    if listing.unentered:
        return (
            f"{listing.folder} holds no images in itself or in its folders, but deeper folders "
            f"such as {listing.unentered[0]}; give the folder whose folders are the classes"
        )
    if listing.broken_links:
        link = listing.broken_links[0]
        return (
            f"{listing.folder} holds no images and {link} is a link to {link.readlink()}, which "
            "is not there; mend the link"
        )
    return f"{listing.folder} holds no images; give the folder of photographs with --source"
