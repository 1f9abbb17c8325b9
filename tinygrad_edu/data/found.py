"""Files that are too large for the package: found on this machine at run time, and verified before anything is read."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError


class NotFound(InputError, FileNotFoundError):
    """A file that has to be fetched first; the message lists the commands that do it."""


def folders() -> list[Path]:
    """Where a user may put files: the folders in TGE_DATA (several with the system's separator), then the cache."""
    given = [Path(part) for part in os.environ.get("TGE_DATA", "").split(os.pathsep) if part]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [*given, cache / "tinygrad_edu"]


def package_folder(package: str) -> Path | None:
    """The folder of an installed Python package, which is not imported: nothing of it runs."""
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec is not None else []
    return Path(places[0]) if places else None


def find_file(what: str, file: str, others: Sequence[Path | None], commands: Sequence[str]) -> Path:
    """The first of these that is there: the last part of `file` in the user's folders, `file` in `others`.

    NotFound names the places that were looked at, and `commands`, each of which fetches the file.
    """
    name = Path(file).name
    places = [folder / name for folder in folders()] + [folder / file for folder in others if folder is not None]
    for place in places:
        if place.is_file():
            return place
    ways = "\n".join(f"    {command}" for command in commands)
    raise NotFound(
        f"{what} is not on this machine. Any of these fetches it:\n{ways}\n"
        f"or put {name} into a folder and name that in TGE_DATA. Looked for: {', '.join(map(str, places))}"
    )


def verified(data: bytes, sha256: str, where: str | Path) -> bytes:
    """`data`, if it is exactly what is expected; InputError if not: a damaged file or another one of that name."""
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise InputError(
            f"{where}: SHA-256 {found[:16]}… is not the expected {sha256[:16]}…; it is damaged or another file: "
            f"delete it and fetch it again"
        )
    return data
