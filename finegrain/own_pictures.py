"""Tell the pictures that this project draws from photographs, which it never replaces."""

import struct
import zlib
from pathlib import Path

from finegrain.regular_file import open_regular

SIGNATURE = b"finegrain"
PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
# Length of a PNG's first 8 bytes and its first chunk, after which others may come.
PNG_HEAD = 33
# Matplotlib, with which most of them are drawn, signs PNG itself.
SIGNS = (b"tEXtSoftware\0" + SIGNATURE, b"tEXtSoftware\0Matplotlib", b"\xff\xfe\0\x0b" + SIGNATURE)
LOOKED_AT = 4096


def sign(path: Path) -> None:
    """Write into a PNG or JPEG that it is one of ours; other files are left as they are."""
    content = path.read_bytes()
    if content.startswith(PNG):
        note = b"tEXtSoftware\0" + SIGNATURE
        chunk = struct.pack(">I", len(note) - 4) + note + struct.pack(">I", zlib.crc32(note))
        place = PNG_HEAD
    elif content.startswith(JPEG):
        chunk = b"\xff\xfe" + struct.pack(">H", len(SIGNATURE) + 2) + SIGNATURE
        # Behind JFIF's segment, which wants to be the first.
        is_jfif = content[2:4] == b"\xff\xe0"
        place = 4 + struct.unpack(">H", content[4:6])[0] if is_jfif else 2
    else:
        return
    path.write_bytes(content[:place] + chunk + content[place:])


def is_own_picture(path: Path) -> bool:
    """Whether a file is a picture that was signed, or drawn by Matplotlib."""
    with open_regular(path) as file:
        head = file.read(LOOKED_AT)
    return any(sign in head for sign in SIGNS)
