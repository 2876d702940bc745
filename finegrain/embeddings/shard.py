"""One part of an export, which any process on any machine can make without the others."""

import importlib.util
import re
from dataclasses import dataclass

from finegrain.errors import UserError

FILE_NAME = re.compile(r"(?P<name>.+)\.shard-(?P<number>[0-9]{1,6})-of-(?P<of>[0-9]{1,6})")
ASKED = re.compile(r"(?P<number>[0-9]{1,6})/(?P<of>[0-9]{1,6})")
MOST_SHARDS = 100_000


@dataclass(frozen=True)
class Shard:
    """Part `number` of `of`, counted from 1: neighbouring photographs of every split."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """What `--shard` says, such as `3/16`, or it is refused."""
        asked = ASKED.fullmatch(text)
        if asked is not None:
            shard = cls(int(asked["number"]), int(asked["of"]))
            if shard.is_possible():
                return shard
        raise UserError(
            f"--shard {text[:40]!r} is no part of an export; give I/N, such as 3/16 for the third "
            f"of 16 parts, I from 1 to N and N at most {MOST_SHARDS}"
        )

    def is_possible(self) -> bool:
        """Whether there is such a part."""
        return 1 <= self.number <= self.of <= MOST_SHARDS

    def stretch(self, photographs: int, at_once: int) -> tuple[int, int]:
        """The first photograph of a split that is in it, and the first behind it that is not.

        Shards begin where a batch of `at_once` photographs begins in the whole export: the last
        digit of an embedding may depend on what shares its batch. So they differ by up to a batch
        in length, and those of a short split may hold nothing of it.
        """
        batches = -(-photographs // at_once)
        ends = (batches * number // self.of * at_once for number in (self.number - 1, self.number))
        first, end = (min(photographs, place) for place in ends)
        return first, end

    def file_stem(self, name: str) -> str:
        """The name of its file, without suffix, for a backbone."""
        return f"{name}.shard-{self.number}-of-{self.of}"

    def __str__(self) -> str:
        return f"{self.number} of {self.of}"


def backbone_of(stem: str) -> str | None:
    """The backbone that the name of a shard's file tells; None where it is no such name."""
    found = FILE_NAME.fullmatch(stem)
    return None if found is None else found["name"]


def check_ray() -> None:
    """Refuse what needs Ray where it is not installed, a `UserError`."""
    if importlib.util.find_spec("ray") is None:
        raise UserError(
            "--engine ray needs Ray, which is not installed: pip install -r requirements-ray.txt; "
            "or make the parts of the export with --shard, without Ray"
        )
