"""What the classes of a JSON of annotations are called."""

import reprlib
from collections.abc import Mapping

from finegrain.datasets.class_names import unfit_for_folder
from finegrain.datasets.layouts.annotation_file import AnnotationFile

MOST_EXAMPLES = 3


def category_names(annotated: AnnotationFile) -> tuple[dict[str, str], list[str]]:
    """Call each category that has images by its name, or all of them by their ids.

    Ids it is where one name is missing, stands twice or cannot be a folder: names beside ids
    could mean one another, and a category mended later would change all that follow it in order.

    Returns:
        category id -> class name; and a sentence on what was wrong with the names, if the file
        gives any.
    """
    used = dict.fromkeys(category for labels in annotated.labels.values() for category in labels)
    names = {category: (annotated.categories or {}).get(category) for category in used}
    if not any(name is not None for name in names.values()):
        return {category: category for category in used}, []
    faults = _faults(names)
    if not faults:
        return {category: name for category, name in names.items() if name is not None}, []
    more = f", and {len(faults) - MOST_EXAMPLES} more" if len(faults) > MOST_EXAMPLES else ""
    notice = (
        f"all {len(used)} classes go by their category ids, since not every name in "
        f"{annotated.path.name} serves: {'; '.join(faults[:MOST_EXAMPLES])}{more}"
    )
    return {category: category for category in used}, [notice]


def _faults(names: Mapping[str, str | None]) -> list[str]:
    """A clause for each category whose name cannot be that of a class."""
    faults: list[str] = []
    owners: dict[str, str] = {}
    for category, name in names.items():
        if name is None:
            faults.append(f"category {category} has no name that is a text")
            continue
        owner = owners.setdefault(name, category)
        reason = unfit_for_folder(name)
        if reason is None and owner != category:
            reason = f"category {owner} has it too"
        if reason is not None:
            faults.append(f"category {category} is called {reprlib.repr(name)}, but {reason}")
    return faults
