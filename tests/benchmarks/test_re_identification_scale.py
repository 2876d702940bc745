"""benchmarks/re_identification_scale.py prints its table."""


def test_a_row_for_each_way_of_ranking(script_here):
    status, printed, errors = script_here(
        "benchmarks/re_identification_scale.py",
        "--queries",
        "20",
        "--gallery",
        "200",
        "--identities",
        "10",
        "--width",
        "16",
        "--noise",
        "0.5",
    )
    assert status == 0, errors
    rows = {line[:18].strip(): line[18:].split() for line in printed.splitlines()}
    assert [len(rows[name]) for name in ("embeddings drawn", "plain", "re-ranked")] == [1, 5, 5]
    assert float(rows["re-ranked"][4]) > 0.8
    status, _, errors = script_here("benchmarks/re_identification_scale.py", "--queries", "0")
    assert status == 2 and "must be at least 1" in errors
