"""One value for all, or another for each by name."""

import pytest

from finegrain.errors import UserError
from finegrain.named_values import values_by_name

NAMES = ["vgg16", "runs/a=b"]


def test_a_value_by_name_comes_before_that_for_all():
    assert values_by_name("--weights", ["none", "vgg16=FILE"], NAMES, "imagenet") == {
        "vgg16": "FILE",
        "runs/a=b": "none",
    }
    assert values_by_name("--weights", [], NAMES, "imagenet") == dict.fromkeys(NAMES, "imagenet")


def test_names_and_values_may_hold_the_sign():
    given = ["vgg16=a=b.weights.h5", "runs/a=b=c"]
    assert values_by_name("--weights", given, NAMES, "none") == {
        "vgg16": "a=b.weights.h5",
        "runs/a=b": "c",
    }


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["vgg=none"], "names vgg, which is none of vgg16"),
        (["vgg16=a", "vgg16=b"], "two values for vgg16, a and b"),
        (["a", "b"], "two values for all, a and b"),
    ],
)
def test_what_cannot_be_is_refused(texts, words):
    with pytest.raises(UserError, match=words):
        values_by_name("--weights", texts, NAMES, "none")
