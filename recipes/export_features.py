"""Merged embeddings, step 1: run pretrained backbones once, keep their embeddings.

    python recipes/export_features.py --data data/pets --images TEST \
        --backbones resnet50,inception_v3,xception --output features

Most of what a frozen backbone computes in a training it has computed before. So every photograph
passes every backbone once, here, and `merge_features.py` then trains classifiers on the embeddings
in seconds. Several backbones are better than one: in the contest of 100 dog breeds the merged
embeddings of 8 to 10 frozen ones were reported with a top-1 error of 0.17, against 0.2045 for the
fine-tuned multi-loss model.

Each backbone has its own input size and pixel scaling; those of one size share one decoding of
each photograph. An entry may also be the folder of a finished run, whose fine-tuned backbone is
taken:

    python recipes/export_features.py --data data/dogs --images TEST \
        --backbones inception_v3,runs/dogs --weights inception_v3=FILE --output features

Each makes one HDF5 file, features/<name>.h5: `embedding/<split>` (N, D), and in the same order
`path/<split>`, `label/<split>`, `view/<split>` and `group/<split>` (duplicates); `class/names`; as
attributes what made it. The splits are those of the data set and, by its name, each folder of
images. Killed at any moment, the same command goes on where it was. An image of such a folder
that cannot be read has no row; it is listed in `unreadable/<split>`.

`--views flip` adds each photograph's mirror image, `--views 4` four augmented views of each
training photograph. `--layout gap` also writes the older gap_<Backbone>.h5 (train, test, label),
`--layout train_x` train_x_<Backbone>.h5 (train_x, train_label, valid_x, valid_label, test).
"""

import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Interval

from finegrain.command import run_command
from finegrain.embeddings.shard import MOST_SHARDS, Shard, check_ray
from finegrain.errors import UserError
from finegrain.flags import ImageSize, Seed, Threads, values_by_name
from finegrain.inference.openvino_engine import AskedPrecision
from finegrain.outputs import Output, OutputFolder
from finegrain.quiet import load_keras
from finegrain.read_ahead import default_workers

MOST_NAMED_FILES = 20
PIXELS = ("own", "unit", "raw")


@dataclass
class Settings:
    """Export the embeddings of a data set and of folders of unlabelled images.

    The same command, started again, goes on where it stopped.
    """

    # data set folder, made by img2keras.py
    data: Path
    # folder for the files, one a backbone
    output: Path
    # names of backbones, or folders of finished runs, separated by commas
    backbones: str = "resnet50,inception_v3,xception"
    # folders of unlabelled images, or JSON files that list them with ids
    images: tuple[Path, ...] = ()
    # imagenet (Keras downloads them) or none for all; BACKBONE=FILE for one
    weights: tuple[str, ...] = ("imagenet",)
    # side of the square the images are resized to, in pixels; by default each backbone's own
    image_size: ImageSize | None = None
    # what backbones see of pixels: own, what each was pretrained on; or unit, from 0 to 1, or raw,
    # from 0 to 255, as some were first fed; BACKBONE=HOW for one
    pixels: tuple[str, ...] = ("own",)
    # views of each photograph: plain; flip, with its mirror image; or a number of augmented views
    # of each training photograph, beside the plain one
    views: str = "plain"
    # also write the file that others read: gap, with train, label and test; or train_x, with
    # train_x, train_label, valid_x, valid_label and test
    layout: Literal["split", "gap", "train_x"] = "split"
    # of augmented views, and of the weights where these are `none`
    seed: Seed = 0
    # on a CPU, compute with OpenVINO where it is installed and pays: faster by far
    openvino: bool = True
    # how OpenVINO computes embeddings of a pretrained backbone: auto judges by some photographs
    # whether int8 (with NNCF) or bfloat16 tells classes apart as well as float32, where that pays
    inference: AskedPrecision = "auto"
    # make only a part of each file, such as 3/16, the third of 16, in a file of its own; once all
    # are there, merge_features.py reads them as one
    shard: str | None = None
    # what computes: this process; or ray, workers on the machines of a Ray cluster, which make the
    # export in shards and must all see the photographs and --output at the same paths
    engine: Literal["here", "ray"] = "here"
    # ray: HOST:PORT of the cluster; auto for the one that this machine is part of; local to start
    # one of this machine alone
    address: str = "auto"
    # ray: number of shards; by default one for each 5,000 photographs
    shards: Annotated[int, Interval(ge=1, le=MOST_SHARDS)] | None = None
    # ray: cores a worker, which decodes with as many threads; by default all those of the smallest
    # machine
    worker_cpus: Threads | None = None
    # threads that decode images; by default one for each core, 16 at most
    workers: Threads = field(default_factory=default_workers)

    def outputs(self) -> list[Output]:
        """What is written."""
        return [OutputFolder("--output", self.output)]

    def entries(self) -> list[str]:
        """The backbones and run folders asked for."""
        return [entry.strip() for entry in self.backbones.split(",") if entry.strip()]

    def check(self) -> None:
        """Refuse what is wrong whatever the files hold, before Keras is loaded."""
        if not self.entries():
            raise UserError("--backbones names none; give one or several, separated by commas")
        if len(set(self.images)) < len(self.images):
            raise UserError("--images names a folder twice; name each once")
        if self.shard is not None:
            Shard.parse(self.shard)
        on_ray = self.engine == "ray"
        if on_ray and self.shard is not None:
            raise UserError("--engine ray makes all shards and --shard one; leave one of them out")
        if self.layout != "split" and (on_ray or self.shard is not None):
            raise UserError(
                f"--layout {self.layout} is written from an export in one file, which "
                f"{'--engine ray' if on_ray else '--shard'} does not make; leave one of them out"
            )
        if not on_ray and (self.shards is not None or self.worker_cpus is not None):
            raise UserError(
                "--shards and --worker-cpus go with --engine ray; without it, --shard I/N makes one"
            )
        if on_ray:
            check_ray()


def main(settings: Settings) -> None:
    settings.check()

    # Keras takes seconds to load, which a mistake in the flags need not wait for.
    load_keras()
    from finegrain.embeddings.export import export_embeddings
    from finegrain.embeddings.feature_file import FeatureFile
    from finegrain.embeddings.write_shared import check_shared_fits, shared_path, write_shared

    if settings.layout != "split":
        check_shared_fits(settings.images)
    export, sources = prepared(settings)
    if settings.engine == "ray":
        files = on_ray(settings, export, sources)
    else:
        export_embeddings(export, sources, settings.workers)
        files = [FeatureFile(export.path(source)) for source in sources]
    for source, features in zip(sources, files, strict=True):
        with features:
            rows = sum(len(split.paths) for split in features.splits.values())
            print(f"wrote {rows} x {features.width} to {features.path}")
            if settings.layout != "split":
                shared = shared_path(settings.output, settings.layout, source.title)
                write_shared(features, shared, settings.layout)
                print(f"wrote the layout {settings.layout} to {shared}")
            if source is sources[-1]:
                tell_unreadable(features)


def on_ray(settings: Settings, export, sources) -> list:
    """Have a Ray cluster make the shards; those of each backbone as one file."""
    from finegrain.embeddings.feature_shards import open_all_features
    from finegrain.embeddings.ray_shards import Cluster, export_on_ray, shards_for

    cluster = Cluster(settings.address, settings.worker_cpus)
    of = settings.shards or shards_for(export)
    paths = export_on_ray(partial(prepared, settings), export, sources, of, cluster)
    return open_all_features([path for files in paths for path in files])


def prepared(settings: Settings) -> tuple:
    """What is exported, and the networks by which."""
    from finegrain.datasets.manifest import category_ids, open_data_set
    from finegrain.datasets.unlabelled_images import unlabelled_images
    from finegrain.embeddings.export_file import Export
    from finegrain.embeddings.photographs import ViewPlan, data_set_photos, folder_photos

    views = ViewPlan.parse(settings.views, settings.seed)
    shard = None if settings.shard is None else Shard.parse(settings.shard)
    data = open_data_set(settings.data)
    folders = {folder: unlabelled_images(folder, data.classes) for folder in settings.images}
    photos = {**data_set_photos(data), **folder_photos(folders)}
    counts = ", ".join(f"{len(some.paths)} {split}" for split, some in photos.items())
    print(f"photographs: {counts}; {len(data.classes)} classes", flush=True)
    sources = open_sources(settings, sum(len(some.paths) for some in photos.values()))
    export = Export(
        settings.output,
        data.classes,
        data.digest,
        photos,
        views,
        settings.openvino,
        category_ids(data),
        settings.inference,
        shard,
    )
    return export, sources


def open_sources(settings: Settings, images: int) -> list:
    """The networks asked for; all names are looked at before the first is built."""
    from finegrain.embeddings.source import pretrained_source, run_source
    from finegrain.models.backbone import check_weights_name
    from finegrain.models.backbone_table import fed_with, find_backbone
    from finegrain.runs.finished_run import open_finished_run

    entries = settings.entries()
    runs = [entry for entry in entries if is_run(entry)]
    specs = {entry: find_backbone(entry) for entry in entries if entry not in runs}
    weights = values_by_name("--weights", settings.weights, list(specs), "imagenet")
    names = [
        Path(entry).resolve().name if entry in runs else specs[entry].name for entry in entries
    ]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise UserError(
                f"--backbones names {name} twice, and each makes a file of its name; leave one "
                "out, or export it to another --output"
            )
    for name in weights.values():
        check_weights_name(name)
    pixels = values_by_name("--pixels", settings.pixels, list(specs), "own")
    for how in pixels.values():
        if how not in PIXELS:
            raise UserError(f"--pixels {how} is none of {', '.join(PIXELS)}")
    for run in runs:
        open_finished_run(Path(run))
    return [
        run_source(Path(entry), settings.openvino, images)
        if entry in runs
        else pretrained_source(
            fed_with(specs[entry], pixels[entry]),
            weights[entry],
            settings.image_size,
            settings.seed,
        )
        for entry in entries
    ]


def is_run(entry: str) -> bool:
    """Whether an entry is a folder rather than the name of a backbone."""
    return os.sep in entry or "/" in entry or Path(entry, "config.json").is_file()


def tell_unreadable(features) -> None:
    """Name the images without a row."""
    for split, rows in features.splits.items():
        if not rows.unreadable:
            continue
        images = "image" if len(rows.unreadable) == 1 else "images"
        print(f"warning: {len(rows.unreadable)} {images} of {split} cannot be read, no row for:")
        for lost in rows.unreadable[:MOST_NAMED_FILES]:
            print(f"  {lost.path}: {lost.reason}")
        if len(rows.unreadable) > MOST_NAMED_FILES:
            print(f"  and {len(rows.unreadable) - MOST_NAMED_FILES} more")


if __name__ == "__main__":
    run_command(main, Settings)
