"""What a leaderboard calls the classes of a data set, where that is not their names.

Data sets made from a JSON of annotations carry its `category_id`s, as a column of the manifest.
"""

from finegrain.datasets.manifest import MANIFEST, DataSet
from finegrain.errors import UserError

CATEGORY_ID = "category_id"


def category_ids(data: DataSet) -> list[str] | None:
    """The category ids in the order of `data.classes`; None where submissions take the names.

    Raises:
        UserError: the manifest gives a class no id, several, or that of another class.
    """
    if CATEGORY_ID not in data.table:
        return None
    pairs = data.table[["label", CATEGORY_ID]].drop_duplicates()
    id_of = dict(pairs.itertuples(index=False, name=None))
    one_each = len(pairs) == len(id_of) == len(set(id_of.values()))
    if not one_each or set(id_of) != set(data.classes) or not all(id_of.values()):
        raise UserError(
            f"{data.folder / MANIFEST} does not give each class a {CATEGORY_ID} of its own; make "
            "the data set again"
        )
    return [id_of[name] for name in data.classes]
