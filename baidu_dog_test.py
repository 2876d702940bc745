"""Step 6: predict a folder of unlabelled images with a multi-loss run and write a submission.

    python baidu_dog_test.py --run runs/dogs --images TEST --output predict.txt

The run comes from `froze_fine_tune.py`, better still after `trick_tune.py`. The verification loss
has done its work in training, where it pulled images of one class together; to predict, only
the softmax head is asked. `predict.txt` holds a line `label<TAB>id` for each image, as the
contest of the 100 dog breeds wanted it: the label is the class's type id, the id is the image's
file name without the suffix.

Other leaderboards take `id,label` (`--format kaggle-label`) or a column of probabilities a class
(`--format probabilities`), filled into the leaderboard's own file:

    python baidu_dog_test.py --run runs/flowers --images TEST --output predict.csv \
        --format kaggle-label --sample-submission kaggle_sample_submission.csv

Two things make the answers a little better for more time: `--flip` averages each image with its
mirror image, and several runs, of other seeds or other backbones, are averaged class by class,
each at its own image size:

    python baidu_dog_test.py --run runs/dogs-1 runs/dogs-2 runs/dogs-3 \
        --images TEST --output predict.txt --flip

TEST may also be a JSON such as FGVC's test.json, which lists the images with ids of its own. Where
the data set was made from a JSON, the classes go by its category ids.

`--crops` and `--scales` add further views, each for another pass, and `--image-size` makes pictures
larger than they were in training; `tools/evaluate.py` takes the same flags, to choose among them by
the validation images.

An image that cannot be decoded still gets a row, the class prior, and a warning: leaderboards
refuse a short file.
"""

from dataclasses import dataclass

from finegrain.command import run_command
from finegrain.submission.submission_settings import SubmissionSettings


@dataclass
class Settings(SubmissionSettings):
    """Predict a folder of unlabelled images with multi-loss runs; write a submission."""


def main(settings: Settings) -> None:
    settings.check()

    # Where the run keeps its graph, no second goes by importing Keras.
    from finegrain.submission.submit import open_runs, submit

    runs = open_runs(settings.run, settings.image_size)
    for run in runs:
        if not run.learns_pairs:
            print(
                f"notice  {run.folder} was trained with softmax only, "
                "which single_model_test.py is for; it is predicted with just the same"
            )
    submit(settings, runs)


if __name__ == "__main__":
    run_command(main, Settings)
