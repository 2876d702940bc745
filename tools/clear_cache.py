"""Remove what trainings have stored to compute it only once.

    python tools/clear_cache.py --cache runs/cache

Stores hold embeddings, activations and resized pixels, and each is good for one data set, one set
of weights and one size; nothing but time is lost with them, and the next training that needs one
makes it again. A store that a training is using right now is left alone.
"""

from dataclasses import dataclass
from pathlib import Path

from finegrain.command import run_command
from finegrain.errors import UserError


@dataclass
class Settings:
    """List the stores of a folder and remove them."""

    # folder of the stores: `cache` beside the run folders, or what --cache named
    cache: Path
    # only list them
    dry_run: bool = False


def main(settings: Settings) -> None:
    from finegrain.memory import size_in_words
    from finegrain.stores.store_folder import StoreFolder, remove_store
    from finegrain.whole_files import remove_partials

    if not settings.cache.is_dir():
        raise UserError(f"there is no folder {settings.cache}; name the folder of the stores")
    freed = 0
    for path in StoreFolder(settings.cache, 0).stores():
        size = path.stat().st_size
        if settings.dry_run:
            what = "would go"
        elif remove_store(path):
            what = "removed"
        else:
            what = "in use"
        freed += size if what == "removed" else 0
        print(f"{what:8} {size_in_words(size):>10}  {path.name}")
    if not settings.dry_run:
        remove_partials(settings.cache)
        print(f"{'freed':8} {size_in_words(freed):>10}")


if __name__ == "__main__":
    run_command(main, Settings)
