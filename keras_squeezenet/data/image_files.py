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


def find(
    folder: str | os.PathLike,
) -> tuple[list[str], collections.Counter[str]]:
    """Return the sorted paths of the images in a folder and its sub-folders.

    A file is an image if its suffix is that of a format that can be read, or,
    without a suffix, if its content is. The counter has the number of the other
    files for each reason to leave them out.
    """
    folder = pathlib.Path(folder)
    images, left_out = [], collections.Counter()
    for path in folder.rglob("*"):
        if path.is_file():
            reason = _reason(path, path.relative_to(folder).parts)
            if reason is None:
                images.append(str(path))
            else:
                left_out[reason] += 1
    return sorted(images), left_out


def has_images_alone(folder: str | os.PathLike) -> bool:
    """Return whether a folder has images and no sub-folders of images."""
    images, _ = find(folder)
    here = os.path.join(os.fspath(pathlib.Path(folder)), "")
    return bool(images) and not any(
        os.sep in image.removeprefix(here) for image in images
    )


def is_ignored(name: str) -> bool:
    """Return whether a folder of this name has no images of the user."""
    return name.startswith(".") or name in SYSTEM_FOLDERS


def describe(folder: str | os.PathLike, left_out: dict[str, int]) -> str:
    """Return a line with the counts, such as `"... 3 hidden, 1 not images"`."""
    counts = sorted(left_out.items())
    reasons = ", ".join(f"{count:,} {why}" for why, count in counts)
    return f"Files of {folder} that are left out: {reasons}"


def _reason(path, parts):
    """Return why a file is left out, or `None` for an image."""
    if set(parts) & set(SYSTEM_FOLDERS):
        return SYSTEM
    if any(part.startswith(".") for part in parts):
        return HIDDEN
    if path.suffix:
        return None if path.suffix.lower() in suffixes() else OTHER
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

    # Of files that the format JPEG opens.
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
