"""Numbers that carry their image's id and their class's name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.errors import UserError
from finegrain.submission.class_probabilities import (
    ClassProbabilities,
    check_same_classes,
    mean_of,
)


@st.composite
def shuffled_tables(draw):
    """Answers as dictionaries, and the same as tables, each with its own order."""
    names = st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=5, unique=True)
    ids, classes = draw(names), draw(names)
    answers, tables = [], []
    for _ in range(draw(st.integers(1, 3))):
        rows, columns = draw(st.permutations(ids)), draw(st.permutations(classes))
        number = st.floats(0, 1, width=32)
        answer = {(i, c): draw(number) for i in rows for c in columns}
        values = np.array([[answer[i, c] for c in columns] for i in rows], dtype="float32")
        answers.append(answer)
        tables.append(ClassProbabilities(rows, columns, values))
    return answers, tables


@settings(max_examples=50, deadline=None)
@given(shuffled_tables())
def test_mean_is_taken_by_name(drawn):
    answers, tables = drawn
    mean = mean_of(tables)
    assert (mean.ids, mean.classes) == (tables[0].ids, tables[0].classes)
    assert mean.probabilities.dtype == np.float32
    for row, image_id in enumerate(mean.ids):
        for column, name in enumerate(mean.classes):
            expected = sum(answer[image_id, name] for answer in answers) / len(answers)
            assert mean.probabilities[row, column] == pytest.approx(expected, abs=1e-6)


def test_most_probable_names_the_class():
    values = np.array([[0.1, 0.9], [0.8, 0.2]], dtype="float32")
    assert ClassProbabilities(["a", "b"], ["cat", "dog"], values).most_probable() == ["dog", "cat"]


def test_unknown_ids_and_classes_are_errors():
    table = ClassProbabilities(["a"], ["cat", "dog"], np.zeros((1, 2), "float32"))
    with pytest.raises(KeyError):
        table.with_ids(["b"])
    with pytest.raises(KeyError):
        table.with_classes(["cat", "cow"])


@pytest.mark.parametrize("ids, classes", [(["a"], ["x", "y"]), (["a", "a"], ["x", "y"])])
def test_rows_and_columns_must_have_names(ids, classes):
    with pytest.raises(ValueError, match="Received"):
        ClassProbabilities(ids, classes, np.zeros((2, 2), "float32"))


def test_runs_of_other_classes_are_refused_with_the_differences():
    check_same_classes({"runs/a": ["cat", "dog"], "runs/b": ["dog", "cat"]})
    with pytest.raises(UserError) as error:
        check_same_classes(
            {"runs/a": ["cat", "dog"], "runs/b": ["dog", "cat"], "runs/c": ["cat", "cow", "yak"]}
        )
    assert "runs/c lacks dog and adds cow, yak" in str(error.value)
