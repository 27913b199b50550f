"""What the description in a checkpoint says of itself, checked before anything else of it is believed."""

from __future__ import annotations

from typing import Any

from bptt.errors import FileFormatError
from bptt.files.model import Header


def check_checkpoint(
    name: str, header: Header, *, written: tuple[str, int, str], what: str, hint: str = ""
) -> dict[str, Any]:
    """Return the entry `extra` of a checkpoint's description.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    header : Header
    written : (str, int, str)
        Format, version and kind that the file must have.
    what : str
        What such a file is called in messages.
    hint : str
        What to do with a file of another kind.

    Raises
    ------
    FileFormatError
        Another format, kind or version; config or extra that are no dictionaries.
    """
    known, latest, kind = written
    description = header.description
    if description.get("format") != known:
        raise FileFormatError(f"{name}: format must be {known!r}. Got {description.get('format')!r:.40}")
    if description.get("kind") != kind:
        raise FileFormatError(f"{name} must be a {what}. Got kind {description.get('kind')!r:.40}{hint}")
    version = description.get("version")
    if type(version) is not int or version != latest:
        newer = type(version) is int and version > latest
        raise FileFormatError(
            f"{name}: version of the format must be {latest}. Got {version!r:.40}"
            + (": written by a newer bptt, update yours" if newer else "")
        )
    extra = description.get("extra")
    if not isinstance(extra, dict) or not isinstance(description.get("config"), dict):
        raise FileFormatError(f"{name}: config and extra must be dictionaries. Got something else: damaged?")
    return extra
