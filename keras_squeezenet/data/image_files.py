"""Which files of a folder are images, and why others are left out."""

import collections
import functools
import os
import pathlib

# Pillow starts a program for EPS, and knows only the names of the others.
UNREADABLE = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")
# Folders of previews and metadata that systems add.
SYSTEM_FOLDERS = ("@eaDir", "__MACOSX", "$RECYCLE.BIN")
HIDDEN = "hidden"
SYSTEM = f"in {' or '.join(SYSTEM_FOLDERS)}"
OTHER = "not images"
CIRCLE = "links to a folder that they are in"
NOT_READABLE = "folders that cannot be read"


def find(
    folder: str | os.PathLike,
) -> tuple[list[str], collections.Counter[str]]:
    """Return the sorted paths of the images in a folder and its sub-folders.

    A file is an image if its suffix is that of a format that can be read, or,
    without a suffix, if its content is. Links are followed. The counter has the
    number of the other files, and of the folders that are not looked into, for
    each reason to leave them out.
    """
    images, left_out = [], collections.Counter()
    for path, reason in _files(folder):
        if reason is None:
            images.append(path)
        else:
            left_out[reason] += 1
    return sorted(images), left_out


def folders_within(path: str, folder: str | os.PathLike) -> list[str]:
    """Return the names of the folders between a folder and a path in it."""
    here = os.path.join(os.fspath(pathlib.Path(folder)), "")
    return path.removeprefix(here).split(os.sep)[:-1]


def has_images_alone(folder: str | os.PathLike) -> bool:
    """Return whether a folder has images and no sub-folders of images."""
    has_images = False
    for path, reason in _files(folder):
        if reason is None:
            if folders_within(path, folder):
                return False
            has_images = True
    return has_images


def is_ignored(name: str) -> bool:
    """Return whether a folder of this name has no images of the user."""
    return name.startswith(".") or name in SYSTEM_FOLDERS


def describe(folder: str | os.PathLike, left_out: dict[str, int]) -> str:
    """Return a line with the counts, such as `"... 3 hidden, 1 not images"`."""
    counts = sorted(left_out.items())
    reasons = ", ".join(f"{count:,} {why}" for why, count in counts)
    return f"Files of {folder} that are left out: {reasons}"


def _files(folder):
    """Yield the path of each file, and why it is left out, or `None`."""
    pending = [(os.fspath(pathlib.Path(folder)), (), frozenset())]
    while pending:
        here, parts, around = pending.pop()
        try:
            status = os.stat(here)
            identity = status.st_dev, status.st_ino
            if identity in around:
                yield here, CIRCLE
                continue
            with os.scandir(here) as entries:
                for entry in entries:
                    found = (*parts, entry.name)
                    # As a path from `pathlib`, without "./".
                    path = entry.path.removeprefix(os.path.join(".", ""))
                    if entry.is_dir():
                        pending.append((path, found, around | {identity}))
                    elif entry.is_file():
                        yield path, _reason(path, found)
        except PermissionError:
            yield here, NOT_READABLE


def _reason(path, parts):
    """Return why a file is left out, or `None` for an image."""
    if not set(parts).isdisjoint(SYSTEM_FOLDERS):
        return SYSTEM
    if any(part.startswith(".") for part in parts):
        return HIDDEN
    suffix = pathlib.PurePath(parts[-1]).suffix
    if suffix:
        return None if suffix.lower() in suffixes() else OTHER
    return None if _has_image(path) else OTHER


def formats() -> tuple[str, ...]:
    """Return the formats that are read: Pillow's, and those of its plugins."""
    from PIL import Image

    Image.init()
    return tuple(name for name in Image.OPEN if name not in UNREADABLE)


@functools.cache
def suffixes() -> frozenset[str]:
    """Return the suffixes of image files, in lower case."""
    from PIL import Image

    # Some cameras write MPO files, which Pillow opens as JPEG.
    read = {*formats(), "MPO"}
    known = Image.registered_extensions()
    return frozenset(name for name, kind in known.items() if kind in read)


def _has_image(path):
    from PIL import Image

    try:
        with Image.open(path, formats=formats()):
            return True
    except MemoryError:
        raise
    # Pillow has many exceptions for what is wrong with a file.
    except Exception:
        return False
