"""What was trained on what."""

from dataclasses import dataclass

from finegrain.report.run_record import RunRecord


@dataclass(frozen=True)
class Fact:
    """A line of the table; `code` values are digests, paths and versions."""

    name: str
    value: str
    code: bool = False


def run_facts(record: RunRecord) -> list[Fact]:
    """The lines that the run's config can fill, in the order a reader asks."""
    config = record.config
    data, weights = config.get("data", {}), config.get("weights", {})
    images = ", ".join(f"{count} {split}" for split, count in data.get("images", {}).items())
    size = " × ".join(map(str, config.get("image_size", [])))
    versions = ", ".join(
        f"{name} {version}" for name, version in config.get("versions", {}).items()
    )
    facts = [
        Fact("Recipe", config.get("recipe", "")),
        Fact("Backbone", config.get("backbone", "")),
        Fact("Image size", f"{size} pixels" if size else ""),
        Fact("Weights at the start", str(weights.get("name", "")), True),
        Fact("Digest of the weights", weights.get("digest", "")[:12], True),
        Fact("Precision", config.get("precision", "")),
        Fact("Classes", str(len(record.classes)) if record.classes else ""),
        Fact("Photographs", images),
        Fact("Data set", data.get("folder", ""), True),
        Fact("Digest of the data set", data.get("digest", "")[:12], True),
        Fact("Run folder", str(record.folder), True),
        Fact("Versions", versions, True),
    ]
    return [fact for fact in facts if fact.value]


def setting_rows(record: RunRecord) -> list[tuple[str, str]]:
    """Every setting of the run as the flag it was given by."""
    settings = record.config.get("settings", {})
    return [(f"--{name.replace('_', '-')}", str(value)) for name, value in settings.items()]


def stage_rows(record: RunRecord) -> list[dict[str, str]]:
    """The errors of each finished stage, as text."""
    return [
        {
            "name": name,
            "epochs": str(numbers.get("epochs", "")),
            "seconds": f"{numbers['seconds']:.0f}" if "seconds" in numbers else "",
            **{
                split: f"{100 * numbers[f'{split}_error']:.1f} %"
                if f"{split}_error" in numbers
                else "–"
                for split in ("valid", "test")
            },
        }
        for name, numbers in sorted(record.results.items())
    ]
