"""The closing table stays readable with few classes and with a thousand."""

import pandas as pd

from finegrain.datasets.findings import class_table, counted, list_few, small_classes


def rows(classes: dict[str, int]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"label": label, "split": "valid" if n == 0 else "train", "width": 10 + n, "height": 5}
            for label, count in classes.items()
            for n in range(count)
        ]
    )


def test_a_line_a_class_and_the_total():
    assert class_table(rows({"10": 3, "9": 12})).splitlines() == [
        "class      train  valid  smallest  largest",
        "9             11      1      10x5     21x5",
        "10             2      1      10x5     12x5",
        "2 classes     13      2      10x5     21x5",
    ]


def test_a_thousand_classes_show_the_rarest_and_the_most_frequent():
    table = class_table(rows({f"c{n}": 2 + n % 50 for n in range(1000)}), most_rows=10)
    lines = table.splitlines()
    assert len(lines) == 1 + 10 + 1 + 1
    assert [line.split()[0] for line in lines[1:4]] == ["c0", "c50", "c100"]
    assert lines[6].startswith("... 990 classes")
    assert lines[-2].split()[1:3] == ["50", "1"]
    assert lines[-1].startswith("1000 classes")


def test_columns_stand_straight_under_chinese_and_very_long_names():
    lines = class_table(rows({"犬名": 2, "x" * 200: 2})).splitlines()
    assert max(map(len, lines)) < 80
    wide = next(line for line in lines if "犬" in line)
    # Two signs that are two places wide each.
    assert len(wide) + 2 == len(lines[0])


def test_lists_are_cut_and_counted():
    assert list_few(["a", "b"], 3) == "  a\n  b"
    assert list_few(list("abcde"), 3) == "  a\n  b\n  c\n  ... and 2 more"
    assert (counted("a", "class"), counted("ab", "class"), counted("ab", "image")) == (
        "1 class",
        "2 classes",
        "2 images",
    )


def test_classes_much_smaller_than_others_are_named_the_smallest_first():
    # One image of each is for validation.
    many = {f"c{n}": 401 for n in range(20)}
    told = small_classes(rows(many | {"rare": 4, "scarce": 40, "enough": 41}))
    assert told.splitlines() == [
        (
            "small classes  2 classes with fewer than 40 training images, too few to be learnt "
            "well (the median class has 400):"
        ),
        "  rare: 3",
        "  scarce: 39",
    ]
    assert small_classes(rows(many)) == ""


def test_no_class_of_fewer_than_ten_training_images_goes_untold():
    told = small_classes(rows({f"c{n}": 10 for n in range(7)} | {"ten": 11})).splitlines()
    assert told[0].startswith("small classes  7 classes with fewer than 10 training images")
    assert told[1:] == [*(f"  c{n}: 9" for n in range(5)), "  ... and 2 more"]
