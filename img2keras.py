"""Step 1: any folder of labelled photographs -> class folders and a manifest.

    python img2keras.py --source PHOTOS --output data/dogs

PHOTOS may be laid out as typeid_randhash.jpg (the class is all before the last underscore), as
type.num.jpg, as a folder per class, or as a folder of images with a CSV of id,label; links to
files and folders are followed. PHOTOS may also be a JSON of images, annotations and categories as
FGVC, iNaturalist and COCO have it, or a folder that holds one; or the folder CUB_200_2011 as its
archive unpacks; or Market-1501, whose query and gallery go to folders of those names. The layout
is found by itself, or forced with --layout.

Every image is opened once. What cannot be decoded is left out and listed with the reason. Copies
of one photograph, equal or nearly so, are found by checksum and perceptual hash and kept on one
side of the split, because a photograph seen in training is no test; copies that carry different
labels are reported, because one of the labels is wrong. The split is stratified and drawn from
the images' content and the seed: the same photographs give the same split on every machine.

CUB_200_2011 brings a split of its own, which is kept unless --split seeded says otherwise: its
test images go to test/, and the validation is drawn from its training images. Most papers call
the accuracy on its test images the validation accuracy; --split official_valid has it their way.
--crop boxes cuts each bird out along its box; crops are files of their own.

The result is what every training script reads: train/, valid/ (and test/) with a folder a class,
manifest.csv with a row an image, classes.json with the class order, duplicates.csv and
unreadable.csv. The images are hard links, which take no space; the source is never changed.
--statistics writes statistics.json besides: mean and standard deviation over all pixels.
Running it again gives the same result, or moves the images to where the new settings want them;
a file that it did not make is never touched.
"""

import dataclasses
import shlex
import time
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Interval

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import ProperShare, Seed, Share
from finegrain.outputs import DATA_SET, Output, OutputFolder


@dataclasses.dataclass
class Settings:
    """Turn a folder of labelled photographs into a data set that the training scripts read."""

    source: Path  # folder of labelled photographs, or a JSON of annotations such as train.json
    output: Path  # data set folder to make, for example data/dogs
    # auto, json_annotations, cub, csv_labels, market1501, class_folders, type_num or
    # typeid_randhash
    layout: str = "auto"
    valid_fraction: ProperShare = 0.1  # share of each class for validation, at least one image
    test_fraction: Share = 0.0  # share of each class for a labelled test split
    seed: Seed = 0  # another seed draws another split
    # seeded: drawn by the fractions above; official: the source's own, its test images to test/,
    # a validation drawn from its training images; official_valid: its test images to valid/;
    # auto: official where the source brings one, else seeded
    split: Literal["auto", "seeded", "official", "official_valid"] = "auto"
    crop: Literal["none", "boxes"] = "none"  # boxes: cut each photograph to its box
    # share of the box's width and height to add on each of its sides
    crop_margin: Annotated[float, Interval(ge=0, le=10)] = 0.1
    # hard: no space taken, but a later edit of one file shows in both; copy where it is refused;
    # crops are always files of their own
    link: Literal["hard", "symlink", "copy"] = "hard"
    # of symlinks: as the way from each link, so that source and data set can move together
    relative: bool = False
    # bits of 64 in which the hashes of near-duplicates may differ; above 12 many pairs are
    # different photographs; -1: equal files only
    near_distance: Annotated[int, Interval(ge=-1, le=16)] = 10
    # also measure mean and standard deviation of the channels, into statistics.json
    statistics: bool = False
    # threads that read images; 0: one a core, 16 at most
    workers: Annotated[int, Interval(ge=0, le=256)] = 0

    def outputs(self) -> list[Output]:
        """What is written."""
        return [OutputFolder("--output", self.output, DATA_SET)]


def main(settings: Settings) -> None:
    make(settings)
    print("next:")
    tell_next(settings.output)


def make(settings: Settings) -> None:
    """Make the data set, and say what was found."""
    from finegrain.datasets.crops import make_crops, place_boxes, read_boxes
    from finegrain.datasets.data_folder import check_output, manifest_rows, write_data_folder
    from finegrain.datasets.duplicates import group_duplicates
    from finegrain.datasets.findings import tell_findings, tell_result, tell_source
    from finegrain.datasets.gather import (
        check_classes,
        gather_images,
        hashes_and_thumbnails,
        not_listed,
        read_records,
    )
    from finegrain.datasets.layouts import find_layout
    from finegrain.datasets.layouts.layout import list_source
    from finegrain.datasets.official_split import keep_official_split, read_official_split
    from finegrain.datasets.retrieval import apart, with_retrieval
    from finegrain.datasets.split import check_fractions, split_images

    started = time.monotonic()
    check_fractions(settings.valid_fraction, settings.test_fraction)
    check_together(settings)

    # What is there?
    source, output = settings.source, settings.output
    listing = list_source(source)
    check_output(listing.folder, output)
    layout = find_layout(listing, settings.layout)
    records = read_records(listing, layout)
    official = read_official_split(listing, layout, records, settings.split, settings.test_fraction)
    boxes = read_boxes(listing, layout, records, settings.crop)
    tell_source(source, listing, layout, records, settings.layout != "auto")

    # Open every image once.
    table, unreadable = gather_images(records, listing.folder, settings.workers or None)
    table, retrieval = apart(table)
    check_classes(records, table, unreadable)
    clipped = []
    if boxes is not None:
        table, nothing_left, clipped = place_boxes(table, boxes, settings.crop_margin)
        unreadable += nothing_left
        check_classes(records, table, unreadable)
    unreadable += not_listed(listing)
    # Of a million images they are as large as the table.
    del records, listing

    # Which of them show the same picture, and who goes where?
    hashes, thumbnails = hashes_and_thumbnails(table)
    table = table.drop(columns=["hash", "thumbnail"])
    groups = group_duplicates(table["sha1"], hashes, thumbnails, settings.near_distance)
    del hashes, thumbnails
    fraction, seed = settings.valid_fraction, settings.seed
    if official is not None:
        splits = keep_official_split(table, groups, official, settings.split, fraction, seed)
    else:
        labels, sums = table["label"].tolist(), table["sha1"].tolist()
        splits = split_images(labels, groups.tolist(), sums, fraction, settings.test_fraction, seed)
    if boxes is not None:
        table = make_crops(table, settings.workers or None)
    rows = manifest_rows(table, splits, groups)
    placed = with_retrieval(rows, retrieval)
    copied = write_data_folder(output, placed, unreadable, link_of(settings))

    tell_findings(output, rows, unreadable, clipped)
    tell_result(rows, placed, copied, official and official.path, settings.split)
    settle_statistics(output, rows, settings)
    print(f"\n{len(placed)} images in {output} after {time.monotonic() - started:.0f} s")


def link_of(settings: Settings) -> str:
    """How images are placed, see `place_images`."""
    return "relative" if settings.relative else settings.link


def check_together(settings: Settings) -> None:
    """Refuse flags that contradict each other."""
    if settings.relative and settings.link != "symlink":
        raise UserError("--relative is for symlinks; add --link symlink")
    if settings.crop == "none" and settings.crop_margin != Settings.crop_margin:
        raise UserError("--crop-margin is for crops; add --crop boxes")
    if settings.split == "official_valid" and settings.valid_fraction != Settings.valid_fraction:
        raise UserError(
            "--valid-fraction has no say in --split official_valid, whose validation is the "
            "official test part; leave one of them away"
        )


def settle_statistics(output: Path, rows, settings: Settings) -> None:
    """Measure the pixels if that is wanted; else see that no older numbers are taken for these."""
    from finegrain.datasets.channel_statistics import (
        STATISTICS,
        remove_outdated_statistics,
        statistics_table,
        throughput,
        write_statistics,
    )

    outdated = remove_outdated_statistics(output, rows)
    if not settings.statistics:
        if outdated:
            print(f"\nremoved  {output / STATISTICS}, which told of other images or splits")
        return
    measured, seconds = write_statistics(output, rows, settings.workers or None)
    speed = throughput(measured["all"], seconds)
    print(f"\n{statistics_table(measured)}\nmeasured in {seconds:.1f} s: {speed}")
    print(f"  in full digits: {output / STATISTICS}")


def tell_next(output: Path) -> None:
    # A path that begins with a dash would be taken for a flag.
    data = shlex.quote(f"./{output}" if str(output).startswith("-") else str(output))
    name = output.resolve().name
    for script, run in [("single_model.py", f"{name}-single"), ("froze_fine_tune.py", name)]:
        run = shlex.quote(f"runs/{run}")
        print(f"  python {script} --data {data} --run {run} --backbone xception --weights imagenet")


if __name__ == "__main__":
    run_command(main, Settings)
