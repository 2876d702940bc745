"""How many bytes, in words."""

UNITS = ("bytes", "kB", "MB", "GB", "TB")


def size_in_words(count: float) -> str:
    """A number of bytes in the unit that suits it, a thousand to the next: 950 bytes, 1.2 MB."""
    unit = 0
    # 999.95 would be shown as 1000.0.
    while abs(count) >= 999.95 and unit < len(UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.1f} {UNITS[unit]}" if unit else f"{count:.0f} {UNITS[unit]}"
