"""tools/report.py as a user runs it, on good runs and on broken ones."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest
from made_run import CLASSES, EVIL, draw_data, make_run, measure

REPORT = "tools/report.py"


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.said = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.said.append(data)

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]

    @property
    def text(self):
        return " ".join(" ".join(self.said).split())


def page_of(folder) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture
def run(tmp_path, drawn):
    return make_run(tmp_path / "runs" / "one", drawn)


def edit_predictions(run, change):
    file = run / "predictions.csv"
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([head, *change(rows)]) + "\n")


def test_the_page_has_all_its_parts(two_runs_page):
    page = Page(two_runs_page.read_text(encoding="utf-8"))
    for part in (
        "Comparison",
        "Where they disagree",
        "Top-1 accuracy",
        "Calibration",
        "Confusions",
        "Identification loss",
        "Look-alikes",
        "Worst mistakes",
        "Least sure",
        "what speaks for beagle",
        "Likely label errors",
        "Copies across the split",
        "most similar training",
        "Training photographs a class",
        "--frozen-epochs",
        "0123456789ab",
    ):
        assert part in page.text, part
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for link in page.all("a"):
        assert link["href"].removeprefix("#") in identifiers
    assert all(image["src"].startswith("data:image/") for image in page.all("img"))
    assert all(image["alt"] for image in page.all("img"))
    assert len(page.all("main")) == 1 and page.all("html")[0]["lang"] == "en"
    assert not [
        tag
        for tag, attributes in page.tags
        if tag == "link" and not attributes["href"].startswith("data:")
    ]


def test_names_are_escaped_everywhere(two_runs_page):
    text = two_runs_page.read_text(encoding="utf-8")
    page = Page(text)
    assert len(page.all("script")) == 1
    assert EVIL in page.text
    assert "alert" not in text.split("<script>", 1)[1].split("</script>")[0]
    assert not page.all("b") or all(tag != "b" or not attributes for tag, attributes in page.tags)
    assert '<b>&"' not in text


def test_a_run_without_a_model_is_reported_in_its_folder(run, script_here):
    status, out, error = script_here(REPORT, "--run", run)
    assert status == 0, error
    text = page_of(run).text
    assert "There is no model.keras" in text and "Worst mistakes" in text
    assert "what speaks for" not in text
    assert "note: There is no model.keras" in out
    assert re.search(r"report\.html, [\d.]+ kB$", out, re.M)


def test_without_validation_images(tmp_path, script_here):
    data = draw_data(tmp_path / "data", valid=0)
    run = make_run(tmp_path / "run", data)
    assert script_here(REPORT, "--run", run)[0] == 0
    text = page_of(run).text
    assert "there is no" in text and "predictions.csv" in text and "Identification loss" in text


def test_the_test_split_is_shown_where_there_is_no_validation(run, script_here):
    edit_predictions(run, lambda rows: [row.replace(",valid,", ",test,") for row in rows])
    assert script_here(REPORT, "--run", run)[0] == 0
    assert "Photographs are of the test split" in page_of(run).text


def test_a_class_that_is_never_answered(run, script_here):
    # Each answer that was "NA", the last class, becomes the first.
    def change(rows):
        return [re.sub(r"(?<=,)NA(?=,(0|1)\.)", "beagle", row) for row in rows]

    edit_predictions(run, change)
    assert script_here(REPORT, "--run", run)[0] == 0
    assert "never answered: NA" in page_of(run).text


def test_predictions_that_are_no_numbers_are_left_out_and_counted(run, script_here):
    def change(rows):
        broken = [re.sub(r"0\.\d+", "nan", rows[0]), re.sub(r",0\.\d+,", ",7.5,", rows[1])]
        return [
            *broken,
            *rows[2:],
            rows[2],
            rows[3].replace("valid/0/", "valid/9/").replace(",beagle,", ",unheard of,"),
        ]

    edit_predictions(run, change)
    assert script_here(REPORT, "--run", run)[0] == 0
    text = page_of(run).text
    assert "no probability that is a number" in text and "outside 0 to 1" in text
    assert "a second time" in text and "1 rows of predictions.csv are left out" in text
    assert "answers for 18 validation photographs" in text


def test_all_predictions_broken(run, script_here):
    edit_predictions(run, lambda rows: [re.sub(r"0\.\d+", "nan", row) for row in rows])
    assert script_here(REPORT, "--run", run)[0] == 0
    assert "no usable row" in page_of(run).text


def test_all_right(run, script_here):
    def change(rows):
        cells = [row.split(",") for row in rows]
        return [",".join([*cell[:3], cell[2], *cell[4:]]) for cell in cells]

    edit_predictions(run, change)
    measure(run, CLASSES)
    assert script_here(REPORT, "--run", run)[0] == 0
    assert "all 20 validation photographs were recognised" in page_of(run).text


def test_images_gone_and_data_set_moved(run, drawn, tmp_path, script_here):
    moved = tmp_path / "moved"
    shutil.copytree(drawn, moved)
    config = json.loads((run / "config.json").read_text())
    config["data"]["folder"] = str(tmp_path / "was here")
    (run / "config.json").write_text(json.dumps(config))
    assert script_here(REPORT, "--run", run)[0] == 0
    page = page_of(run)
    assert "tell with --data where it stands now" in page.text and "no such file" in page.text
    assert not [image for image in page.all("img") if "photo" in image["class"]]
    shutil.rmtree(moved / "valid" / "0")
    assert script_here(REPORT, "--run", run, "--data", moved)[0] == 0
    page = page_of(run)
    assert [image for image in page.all("img") if "photo" in image["class"]]
    assert re.search(r"[1-9]\d* photographs of this page cannot be shown", page.text)


def test_ten_thousand_classes(tmp_path, script_here):
    classes = [f"class {n}" for n in range(10_000)]
    data = draw_data(tmp_path / "data", classes, train=1, valid=0, photographs=False)
    run = make_run(tmp_path / "run", data)
    rows = []
    for n in range(10_000):
        given = n if n % 3 else (n + 3) % 10_000
        top = f"class {given},0.6,class {(n + 7) % 10_000},0.1" + ",,0" * 3
        true = 0.6 if given == n else 0.01
        rows.append(f"valid/{n}.jpg,valid,class {n},class {given},0.6,{true},1,{top}")
    from finegrain.runs.predictions import COLUMNS

    (run / "predictions.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    status, _, error = script_here(REPORT, "--run", run)
    assert status == 0, error
    page = page_of(run)
    assert "The 1000 worst recognised of 10000 classes" in page.text
    assert "the 40 most confused of 10000" in page.text
    assert "evaluation.json; make it with tools/evaluate.py" in page.text
    assert (run / "report.html").stat().st_size < 20e6


def test_damaged_files_are_named_on_the_page(run, script_here):
    (run / "evaluation.json").write_text("{")
    (run / "results.json").write_text("{")
    (run / "classes.json").write_text("{")
    (run / "1-frozen" / "history.csv").write_text("epoch,loss\n1,abc\n")
    (run / "model.keras").write_bytes(b"no model")
    assert script_here(REPORT, "--run", run)[0] == 0
    text = page_of(run).text
    for name in ("results.json", "classes.json", "history.csv"):
        assert name in text, name


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--run", "nowhere"], "nowhere is no run folder"),
        (["--run"], "names no run"),
    ],
)
def test_a_mistake_is_one_sentence(script_here, arguments, said):
    status, _, error = script_here(REPORT, *arguments)
    assert status == 2 and said in error and "Traceback" not in error
