"""What submissions call the classes, read from the manifest."""

from pathlib import Path

import pandas as pd
import pytest

from finegrain.datasets.category_ids import category_ids
from finegrain.datasets.manifest import DataSet
from finegrain.errors import UserError


def data_set(labels: str, ids: list[str] | None) -> DataSet:
    table = pd.DataFrame({"label": list(labels)})
    if ids is not None:
        table["category_id"] = ids
    return DataSet(Path("data"), sorted(set(labels)), table, "")


def test_ids_in_the_order_of_the_classes():
    assert category_ids(data_set("baab", ["1", "20", "20", "1"])) == ["20", "1"]
    assert category_ids(data_set("ab", None)) is None


@pytest.mark.parametrize("ids", [["1", "2", "3"], ["1", "1", "1"], ["1", "1", ""]])
def test_an_edited_manifest_is_refused(ids: list[str]):
    with pytest.raises(UserError, match="does not give each class a category_id of its own"):
        category_ids(data_set("aab", ids))


def test_a_class_without_images_has_no_id():
    data = DataSet(Path("data"), ["a", "b", "c"], data_set("ab", ["1", "2"]).table, "")
    with pytest.raises(UserError, match="category_id"):
        category_ids(data)
