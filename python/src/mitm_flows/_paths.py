"""The files that a path stands for."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence

Path = str | os.PathLike[str]
MOUNTS = "MITM_FLOWS_MOUNTS"


def recorded_order(paths: Sequence[str]) -> list[str]:
    """Paths sorted by names without their extensions: `a.mflow` is recorded before `a-00001.mflow`."""

    def stem(path: str) -> str:
        return path.removesuffix(".age").removesuffix(".mflow")

    return sorted(paths, key=lambda path: (stem(path), path))


def flow_files(directory: str) -> list[str]:
    """The `.mflow` and `.mflow.age` files of a directory and of those below it, in the order in which they were recorded."""
    found = []
    for below, _, names in os.walk(directory):
        found += [os.path.join(below, name) for name in names if name.endswith((".mflow", ".mflow.age"))]
    return recorded_order(found)


def local_path(path: Path) -> str:
    """The path in a file system. `file://` is removed; `s3a://bucket/…` becomes a path below the mount point that MITM_FLOWS_MOUNTS names.

    Raises FileNotFoundError for storage that is not mounted.
    """
    text = os.fspath(path)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
    if not scheme:
        return text
    if scheme[1].lower() == "file":
        return "/" + text[scheme.end() :].lstrip("/")
    for mount in os.environ.get(MOUNTS, "").split():
        prefix, _, directory = mount.partition("=")
        prefix = prefix.rstrip("/")
        if directory and (text == prefix or text.startswith(prefix + "/")):
            return directory.rstrip("/") + text[len(prefix) :]
    raise FileNotFoundError(
        "%s is on storage that is not mounted; mount it, and name the mount point in the environment: %s=%s=/mnt"
        % (text, MOUNTS, "/".join(text.split("/", 3)[:3]))
    )


def files_of(path: Path | Sequence[Path]) -> list[str]:
    """The files that a path stands for: a file for itself, a directory for its flow files, a pattern (`2026-01-*`) for the paths that match it,
    and a sequence for the files of each.

    Raises FileNotFoundError when there is no such file, and ValueError for an empty sequence: mitm-filter without a file reads its input.
    """
    paths: Sequence[Path] = [path] if isinstance(path, (str, os.PathLike)) else path
    if not paths:
        raise ValueError("the list of paths is empty; name a file, a directory or a pattern")
    files = []
    for one in map(local_path, paths):
        if not os.path.lexists(one) and not glob.has_magic(one):
            raise FileNotFoundError("%s does not exist" % one)
        matches = [one] if os.path.exists(one) or not glob.has_magic(one) else recorded_order(glob.glob(one))
        found = [file for match in matches for file in (flow_files(match) if os.path.isdir(match) else [match])]
        if not found:
            raise FileNotFoundError("%s has no flow files (.mflow, .mflow.age)" % one)
        files += found
    return files
