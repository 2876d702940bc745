"""What a folder holds, as far as it must be the same however its making was disturbed."""

import csv
import hashlib
import io
import json
import re
import zipfile
from pathlib import Path

import h5py
import numpy as np

# Times differ from call to call, and so do the bytes of model.keras, which holds one.
OF_THE_MOMENT = ("seconds", "preparation", "digests", "minutes", "finished")
# Names a file by its bytes, model.keras among them.
DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
# Written by other projects, with times or names of the moment inside; that they stand is enough.
OPAQUE = {".onnx", ".tflite", ".xml", ".bin", ".pb", ".html", ".index", ".data-00000-of-00001"}
# Files that say who is at work in a folder.
LOCK = ".lock"
CHECKPOINT = re.compile(r"/epoch-\d+\.weights\.h5$")


def fingerprint(folder: Path) -> dict[str, str]:
    """Digest of every file below a folder by its path, of what is not of the moment."""
    return {
        path.relative_to(folder).as_posix(): digest(path)
        for path in sorted(folder.rglob("*"))
        if (path.is_file() or path.is_symlink()) and not path.name.endswith(LOCK)
    }


def outline(folder: Path) -> dict[str, str]:
    """The files below a folder by their paths, with the number of rows of its tables.

    Without checkpoints: which epoch was the best may hang on the last digit of a loss.
    """
    return {
        path: str(len((folder / path).read_text().splitlines())) if path.endswith(".csv") else ""
        for path in fingerprint(folder)
        if not CHECKPOINT.search(path)
    }


def raw_digests(folder: Path) -> dict[str, str]:
    """Digest of every byte of every regular file below a folder, by its path."""
    return {
        path.relative_to(folder).as_posix(): _sha1(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and not path.name.endswith(LOCK)
    }


def digest(path: Path) -> str:
    """Of a file's content; of its bytes where it cannot be read as its name says."""
    if path.is_symlink() and not path.exists():
        return f"link to {path.readlink()}"
    try:
        if path.suffix in OPAQUE:
            return "is there"
        content = path.read_bytes()
        if path.suffix == ".json":
            return _sha1(json.dumps(_lasting(json.loads(content)), sort_keys=True).encode())
        if path.suffix == ".h5":
            return _arrays(path)
        if path.suffix == ".keras":
            return _keras_model(path)
        if path.suffix == ".npz":
            return _sha1(json.dumps(_candidate(path), sort_keys=True).encode())
        if path.name == "history.csv":
            rows = csv.DictReader(io.StringIO(content.decode()))
            return _sha1(json.dumps(_lasting(list(rows))).encode())
        return _sha1(content)
    except (OSError, ValueError, RecursionError, KeyError, zipfile.BadZipFile):
        return f"bytes {_sha1(path.read_bytes())}"


def _lasting(value):
    if isinstance(value, dict):
        lasting = {key: of for key, of in value.items() if key not in OF_THE_MOMENT}
        return {DIGEST.sub("digest", key): _lasting(of) for key, of in lasting.items()}
    return [_lasting(each) for each in value] if isinstance(value, list) else value


def _arrays(file) -> str:
    """Of the names and numbers of an HDF5 file; its attributes and its layout do not count."""
    found = []

    def note(name: str, item) -> None:
        if isinstance(item, h5py.Dataset):
            values = np.asarray(item[()])
            content = repr(values.tolist()).encode() if values.dtype == object else values.tobytes()
            found.append((name, str(item.shape), _sha1(content)))

    with h5py.File(file, "r") as opened:
        opened.visititems(note)
    return _sha1(repr(sorted(found)).encode())


def _candidate(path: Path) -> list:
    """What a search keeps of a candidate: arrays, and a JSON about it."""
    with np.load(path, allow_pickle=False) as parts:
        about = _lasting(json.loads(str(parts["about"]))) if "about" in parts else None
        arrays = {name: parts[name] for name in sorted(parts.files) if name != "about"}
    return [about, [[name, _sha1(array.tobytes())] for name, array in arrays.items()]]


def _keras_model(path: Path) -> str:
    with zipfile.ZipFile(path) as parts:
        names = sorted(parts.namelist())
        weights = [_arrays(io.BytesIO(parts.read(name))) for name in names if name.endswith(".h5")]
    return _sha1(repr((names, weights)).encode())


def _sha1(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
