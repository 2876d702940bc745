"""`typeid_randhash.jpg`: the class is everything before the last underscore."""

from finegrain.datasets.layouts.named_files import named_files_layout


def parse(stem: str) -> tuple[str, str] | None:
    """`30_a1b2` is image `a1b2` of class `30`."""
    typeid, _, randhash = stem.rpartition("_")
    return (typeid, randhash) if typeid and randhash else None


LAYOUT = named_files_layout("typeid_randhash", "typeid_randhash.jpg", parse)
