"""A sheet of pairs, as the pair generator makes them for the multi-loss model.

    python tools/show_pairs.py --data data/dogs --output pairs.png

One row shows a positive batch, one a negative one: above each image stands its class, below it its
partner. Look at it before a long training: wrong labels and too strong augmentation show at once.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from annotated_types import Interval

from finegrain.command import run_command
from finegrain.flags import Seed, Suffixes
from finegrain.outputs import Output, OutputFile
from finegrain.quiet import load_keras


@dataclass
class Settings:
    """Draw the pairs of one positive and one negative batch."""

    # data set folder, made by img2keras.py
    data: Path
    # picture to write, .png
    output: Annotated[Path, Suffixes(".png")]
    # images a batch
    batch_size: Annotated[int, Interval(ge=1, le=100)] = 8
    # side of the images in pixels
    image_size: Annotated[int, Interval(ge=32, le=1024)] = 160
    # of order, augmentation and pairs
    seed: Seed = 0

    def outputs(self) -> list[Output]:
        """What is written."""
        return [OutputFile("--output", self.output, is_picture=True)]


def main(settings: Settings) -> None:
    load_keras()
    from matplotlib.figure import Figure

    from finegrain.datasets.manifest import open_data_set
    from finegrain.frame import Frame
    from finegrain.images.batches import BatchStream
    from finegrain.training.feed import Feed, check_feed, fitting_batch_size
    from finegrain.training.pairs import PairGenerator
    from finegrain.training.stage import Stage
    from finegrain.whole_files import write_encoded

    data = open_data_set(settings.data)
    frame = Frame(settings.image_size, settings.image_size)
    feed = Feed(data, frame, fitting_batch_size(settings.batch_size, data), settings.seed)
    check_feed(feed)
    stage = Stage("pairs", None, "adam", 1e-3, epochs=1)
    stream = BatchStream(feed.training(stage), workers=1)
    figure = Figure(figsize=(1.5 * feed.batch_size, 7.2), layout="constrained")
    rows = figure.subfigures(2, 1)
    for part, (inputs, targets) in zip(rows, PairGenerator(stream, 0.5), strict=False):
        labels = targets["category"].argmax(axis=1)
        same = targets["same_class"][:, 1]
        kind = "swapped into positive pairs" if same.any() else "of random negative pairs"
        part.suptitle(f"a batch {kind}: each image above, its partner below", fontsize=11)
        axes = part.subplots(2, feed.batch_size, squeeze=False)
        for place, partner in enumerate(inputs["partner"]):
            for row, index in enumerate((place, partner)):
                axes[row, place].imshow(inputs["image"][index].clip(0, 255).astype("uint8"))
                axes[row, place].set_axis_off()
                axes[row, place].set_title(data.classes[labels[index]][:18], fontsize=7)
            mark = "same" if same[place] else "different"
            axes[1, place].text(
                0.5,
                -0.08,
                mark,
                ha="center",
                va="top",
                fontsize=8,
                transform=axes[1, place].transAxes,
            )
    stream.close()
    write_encoded(settings.output, partial(figure.savefig, dpi=90, format="png"))
    print(f"pairs drawn to {settings.output}")


if __name__ == "__main__":
    run_command(main, Settings)
