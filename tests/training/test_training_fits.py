"""A stage that is likely to take more memory than there is says so before it starts."""

import pytest

import single_model
from finegrain.training.budget import print_budget
from finegrain.training.session import start_session


@pytest.mark.parametrize(
    ("memory", "words"),
    [
        # What every process takes fits into a gigabyte, so that the batch decides.
        (1.2, "more than --memory-gb 1.2; --batch-size 9 would take 1.2 GB"),
        (0.5, "more than --memory-gb 0.5; take a smaller --image-size, --backbone or head"),
        (6.0, None),
    ],
)
def test_a_stage_beyond_the_memory_is_told_of(memory, words, drawn_data, tmp_path, capsys):
    settings = single_model.Settings(
        drawn_data,
        tmp_path / "run",
        backbone="mobilenet_v2_0.35",
        weights="none",
        image_size=192,
        batch_size=24,
        unfreeze_from="0",
        memory_gb=memory,
        frozen_epochs=0,
    )
    session = start_session(settings, "softmax")
    print_budget(session, list(session.stages))
    told = [line for line in capsys.readouterr().out.splitlines() if "is likely to take" in line]
    assert len(told) == (words is not None)
    if words:
        assert told[0].startswith("  notice    2-unfrozen is likely to take 1.4 GB, ")
        assert told[0].partition("GB, ")[2].startswith(words)
