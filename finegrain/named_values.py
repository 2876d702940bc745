"""Flags that say one thing for all, or another for each by name: `--weights none xception=FILE`."""

from collections.abc import Sequence

from finegrain.errors import UserError


def values_by_name(
    flag: str, texts: Sequence[str], names: Sequence[str], default: str
) -> dict[str, str]:
    """What a flag says for each name.

    Args:
        flag: as typed, e.g. `--weights`.
        texts: its values: `name=value` for one name, `value` for all the others.
        names: known names.
        default: for names of which nothing is said.

    Returns:
        name -> value, in the order of `names`.

    Raises:
        UserError: an unknown name, or two values for one.
    """
    given: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        if not equals:
            name, value = "", text
        # A file name may hold a sign of equality itself.
        name, value = next(
            ((known, text[len(known) + 1 :]) for known in names if text.startswith(f"{known}=")),
            (name, value),
        )
        if name and name not in names:
            raise UserError(f"{flag} {text} names {name}, which is none of {', '.join(names)}")
        if name in given:
            whom = name or "all"
            raise UserError(f"{flag} gives two values for {whom}, {given[name]} and {value}")
        given[name] = value
    return {name: given.get(name, given.get("", default)) for name in names}
