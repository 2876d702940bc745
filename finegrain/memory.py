"""How much memory this machine has, and refusing what can never fit into it."""

from pathlib import Path

import psutil

from finegrain.errors import UserError

UNITS = ("bytes", "kB", "MB", "GB", "TB")
# Where Linux says what a container may use, in its second and its first version.
CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def size_in_words(count: float) -> str:
    """A number of bytes in the unit that suits it, a thousand to the next: 950 bytes, 1.2 MB."""
    unit = 0
    # 999.95 would be shown as 1000.0.
    while abs(count) >= 999.95 and unit < len(UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.1f} {UNITS[unit]}" if unit else f"{count:.0f} {UNITS[unit]}"


def total_memory() -> int:
    """Bytes of memory that a process may use: the machine's or the container's, and swap."""
    memory = psutil.virtual_memory().total
    for file in CONTAINER_LIMITS:
        try:
            # `max` where there is no limit.
            memory = min(memory, int(file.read_text()))
        except (OSError, ValueError):
            continue
    return memory + psutil.swap_memory().total


def check_memory_fits(needed: float, task: str, remedy: str) -> None:
    """Refuse what needs at least so many bytes, and would be killed for want of them."""
    there = total_memory()
    if needed > there:
        raise UserError(
            f"{task} needs {size_in_words(needed)} of memory at least, and this machine has "
            f"{size_in_words(there)}; {remedy}"
        )
