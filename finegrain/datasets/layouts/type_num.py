"""`type.num.jpg`: the class is everything before the number."""

import re

from finegrain.datasets.layouts.named_files import named_files_layout


def parse(stem: str) -> tuple[str, str] | None:
    """`cat.17` is image `17` of class `cat`."""
    fitting = re.fullmatch(r"(.+)\.([0-9]+)", stem)
    return (fitting[1], fitting[2]) if fitting else None


LAYOUT = named_files_layout("type_num", "type.num.jpg", parse)
