"""Step 3: predict a folder of unlabelled images with the softmax baseline and write a submission.

    python single_model_test.py --run runs/dogs-single --images TEST --output predict.txt

The run comes from `single_model.py`; it brings its classes, its image size and, inside the model,
its preprocessing, so an image goes the same way here as it went in training. An image's id is its
file name without the suffix, and every row carries its id from the file to the submission.

Formats: `baidu` writes `label<TAB>id` lines. `kaggle-label` writes `id,label`, and
`probabilities` writes `id,<class>,...`; both take over header, ids and order of the leaderboard's
own file:

    python single_model_test.py --run runs/cats-dogs --images TEST --output predict.csv \
        --format kaggle-label --sample-submission sample_submission.csv

TEST may also be a JSON such as FGVC's test.json, which lists the images with ids of its own. Where
the data set was made from a JSON, the classes go by its category ids.

Two things make the answers a little better for more time: `--flip` averages each image with its
mirror image, and several runs are averaged class by class, each at its own image size:

    python single_model_test.py --run runs/dogs-xception runs/dogs-inception \
        --images TEST --output predict.txt --flip

`--crops` and `--scales` add further views, each for another pass, and `--image-size` makes pictures
larger than they were in training; `tools/evaluate.py` takes the same flags, to choose among them by
the validation images.

An image that cannot be decoded still gets a row, the class prior, and a warning: leaderboards
refuse a short file. The submission of step 6, `baidu_dog_test.py`, is made the same way from a
multi-loss run.
"""

from dataclasses import dataclass

from finegrain.command import run_command
from finegrain.submission.submission_settings import SubmissionSettings


@dataclass
class Settings(SubmissionSettings):
    """Predict a folder of unlabelled images with runs of single_model.py; write a submission."""


def main(settings: Settings) -> None:
    settings.check()

    # Where the run keeps its graph, no second goes by importing Keras.
    from finegrain.submission.submit import open_runs, submit

    runs = open_runs(settings.run, settings.image_size)
    for run in runs:
        if run.compares_pairs:
            print(
                f"notice  {run.folder} is a multi-loss run, which baidu_dog_test.py is for; "
                "its softmax head is used here just the same"
            )
    submit(settings, runs)


if __name__ == "__main__":
    run_command(main, Settings)
