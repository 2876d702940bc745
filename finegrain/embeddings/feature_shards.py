"""The shards of an export, read as the one file that the whole export would be."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from finegrain.embeddings.export_file import SHARD, stored_key
from finegrain.embeddings.feature_file import FeatureFile, SplitRows, Unreadable
from finegrain.embeddings.shard import Shard, backbone_of
from finegrain.embeddings.shared_file import open_features
from finegrain.errors import UserError
from finegrain.stores.row_layout import RowNumbers

# A process may have some 1,000 files open, and several backbones are read side by side.
MOST_OPEN = 100
MOST_NAMED = 5


def open_all_features(
    paths: Sequence[Path], test_ids: Sequence[str] | None = None
) -> list[FeatureFile]:
    """Files of embeddings in whatever layout, in their order; the shards of a backbone as one.

    Raises:
        UserError: see `open_features` and `FeatureShards`.
    """
    keys = [stored_key(path) or {} for path in paths]
    # First, since a damaged file does not tell that it is a shard, and would seem to be missing.
    opened: dict[int, FeatureFile] = {
        place: open_features(path, test_ids)
        for place, (path, key) in enumerate(zip(paths, keys, strict=True))
        if SHARD not in key
    }
    groups: dict[str, list[int]] = defaultdict(list)
    for place, (path, key) in enumerate(zip(paths, keys, strict=True)):
        if SHARD in key:
            groups[_backbone(path, key)].append(place)
    for places in groups.values():
        some = [paths[place] for place in places], [keys[place] for place in places]
        opened[places[0]] = FeatureShards(*some)
    return [opened[place] for place in sorted(opened)]


def _backbone(path: Path, key: Mapping[str, Any]) -> str:
    name = backbone_of(path.stem)
    if name is None:
        raise UserError(
            f"{path} is a shard of an export and its name does not tell of which backbone; give it "
            "back the name that recipes/export_features.py gave it"
        )
    return name


class FeatureShards(FeatureFile):
    """All shards of a backbone: the rows, in the order, of the export without shards.

    Memory holds what describes the rows, as of one file; embeddings are read from the shards.

    Raises:
        UserError: a shard is missing, comes twice, is not finished, or is of another export.
    """

    def __init__(self, paths: Sequence[Path], keys: Sequence[Mapping[str, Any]]):
        in_order = _checked(paths, keys)
        self.name = backbone_of(paths[0].stem) or paths[0].stem
        self.path = paths[0].parent / f"{self.name}.shard-*-of-{len(in_order)}.h5"
        self._parts: list[FeatureFile] = []
        try:
            for path in in_order:
                self._parts.append(FeatureFile(path))
                if len(in_order) > MOST_OPEN:
                    self._parts[-1].rest()
            self._join()
        except BaseException:
            self.close()
            raise

    def _join(self) -> None:
        first, *others = self._parts
        for part in others:
            _check_alike(first, part)
        self.classes, self.category_ids = first.classes, first.category_ids
        self.data, self.backbone = first.data, first.backbone
        self.key = {name: value for name, value in (first.key or {}).items() if name != SHARD}
        self.view_kind, self.width = first.view_kind, first.width
        self.splits: dict[str, SplitRows] = {}
        # Split -> first row of each part, if all came one after the other.
        self._starts: dict[str, np.ndarray] = {}
        # Split -> place of each row, if all came one after the other; of several views only.
        self._order: dict[str, np.ndarray] = {}
        for split in first.splits:
            self._join_split(split)

    def _join_split(self, split: str) -> None:
        rows = [part.splits[split] for part in self._parts]
        ends = np.cumsum([len(each.paths) for each in rows])
        self._starts[split] = np.concatenate([[0], ends[:-1]])
        names = [field.name for field in fields(SplitRows) if field.name != "unreadable"]
        # Columns of nothing may be of another type.
        filled = [each for each in rows if len(each.paths)] or rows[:1]
        columns = {name: np.concatenate([getattr(each, name) for each in filled]) for name in names}
        lost: list[Unreadable] = [entry for each in rows for entry in each.unreadable]
        for part, (start, end) in zip(self._parts, pairwise([0, *ends]), strict=True):
            # A part names a row that it cannot read by its path; all else stands here alone.
            nothing = np.empty(0)
            named = columns["paths"][start:end]
            part.splits[split] = SplitRows(named, nothing, nothing, nothing, nothing, [])
        joined = SplitRows(**columns, unreadable=lost)
        if joined.views.any():
            # The whole export has the first views of all photographs, then all second ones.
            order = self._order[split] = np.argsort(joined.views, kind="stable")
            columns = {name: column[order] for name, column in columns.items()}
            joined = SplitRows(**columns, unreadable=lost)
        self.splits[split] = joined

    def read(self, split: str, rows: RowNumbers) -> np.ndarray:
        """Some rows in the order asked for, (B,D) float32; see `FeatureFile.read`."""
        places = np.asarray(rows, np.int64)
        if split in self._order:
            places = self._order[split][places]
        out = np.empty((len(places), self.width), "float32")
        starts = self._starts[split]
        # Of shards without rows, which begin where the next one does, the last one is meant.
        part_of = np.searchsorted(starts, places, side="right") - 1
        for number in np.unique(part_of):
            wanted = np.flatnonzero(part_of == number)
            part = self._parts[number]
            out[wanted] = part.read(split, places[wanted] - starts[number])
            if len(self._parts) > MOST_OPEN:
                part.rest()
        return out

    def close(self) -> None:
        """Close the files."""
        for part in self._parts:
            part.close()


def _checked(paths: Sequence[Path], keys: Sequence[Mapping[str, Any]]) -> list[Path]:
    """The files in the order of their numbers."""
    by_number: dict[int, Path] = {}
    shards = [_shard(path, key) for path, key in zip(paths, keys, strict=True)]
    for path, key, shard in zip(paths, keys, shards, strict=True):
        differing = [name for name in _differing(keys[0], key) if name != SHARD]
        if shard.of != shards[0].of:
            raise UserError(
                f"{path} is one of {shard.of} shards and {paths[0]} one of {shards[0].of}; give "
                "the shards of one export"
            )
        if differing:
            raise UserError(
                f"{path} and {paths[0]} are shards of different exports (they differ in: "
                f"{', '.join(differing)}); export one of them again with the other's settings"
            )
        if shard.number in by_number:
            raise UserError(
                f"{by_number[shard.number]} and {path} are the same shard, {shard}; leave one out"
            )
        by_number[shard.number] = path
    wanted = range(1, shards[0].of + 1)
    if missing := [number for number in wanted if number not in by_number]:
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        named = ", ".join(f"{number}/{len(wanted)}" for number in missing[:MOST_NAMED])
        raise UserError(
            f"{len(missing)} of the {len(wanted)} shards of {backbone_of(paths[0].stem)} are not "
            f"among the files: {named}{more}; name these too, or make them with "
            "recipes/export_features.py --shard"
        )
    return [by_number[number] for number in wanted]


def _shard(path: Path, key: Mapping[str, Any]) -> Shard:
    told = str(key[SHARD]).split(" of ")
    if len(told) == 2 and all(word.isdecimal() and len(word) < 7 for word in told):
        shard = Shard(int(told[0]), int(told[1]))
        if shard.is_possible():
            return shard
    raise UserError(
        f"{path} tells of a shard that cannot be, {str(key[SHARD])[:40]!r}; remove it and start "
        "the recipes/export_features.py command that made it again"
    )


def _differing(first: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    for name in {**first, **other}:
        if first.get(name) != other.get(name):
            yield name


def _check_alike(first: FeatureFile, part: FeatureFile) -> None:
    """Refuse what only a file that was tampered with has."""
    for what in ("classes", "category_ids", "width", "view_kind", "data"):
        if getattr(first, what) != getattr(part, what):
            raise UserError(
                f"{part.path} differs from {first.path} in {what.replace('_', ' ')}, although both "
                "tell of one export; remove the wrong one and export it again"
            )
    if list(first.splits) != list(part.splits):
        raise UserError(
            f"{part.path} has other splits than {first.path}, although both tell of one export; "
            "remove the wrong one and export it again"
        )
