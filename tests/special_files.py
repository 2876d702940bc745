"""Files that a program must not wait for, named like images."""

import os
import socket
from pathlib import Path


def make_special_files(folder: Path) -> set[str]:
    """Make a pipe, a socket, links to them, to a device and to themselves; returns their names."""
    os.mkfifo(folder / "pipe.jpg")
    # The path of a socket may have 100 bytes only, hence the relative name.
    before = Path.cwd()
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket.jpg")
    finally:
        os.chdir(before)
    targets = {
        "to_pipe": "pipe.jpg",
        "twice": "to_pipe.jpg",
        "to_socket": "socket.jpg",
        "zero": "/dev/zero",
        "tty": "/dev/tty",
        "loop": "loop.jpg",
    }
    for name, target in targets.items():
        (folder / f"{name}.jpg").symlink_to(target)
    return {"pipe.jpg", "socket.jpg", *(f"{name}.jpg" for name in targets)}
