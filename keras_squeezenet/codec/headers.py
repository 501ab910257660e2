"""The metadata of a network in the header of a .sqz file."""

import os
from typing import Any

from keras_squeezenet import metadata
from keras_squeezenet import normalizations
from keras_squeezenet.codec import sqz


def describe_input(normalization: str) -> dict[str, Any]:
    """Return a normalization as the header has it; see `SQZ.md`."""
    known = normalizations.get(normalization)
    order = -1 if known.order == "BGR" else 1
    scales = [1 if std == 1 else 1 / std for std in known.std[::order]]
    return {
        "channels": known.order,
        "mean": list(known.mean[::order]),
        "scale": scales[0] if len(set(scales)) == 1 else scales,
    }


def read_metadata(path: str | os.PathLike) -> metadata.Metadata:
    """Return the metadata in a .sqz file, without decoding its network.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is damaged.
    """
    header = sqz.read_header(path)
    with sqz.explained(path):
        return parse(header)


def parse(header: dict[str, Any]) -> metadata.Metadata:
    """Return the metadata of a network from the header of its file.

    Raises:
        ValueError: if they are damaged, or the normalization is unknown.
            Missing fields may raise other exceptions.
    """
    labels = header.get("labels")
    names = labels if isinstance(labels, list) else ()
    side, _, channels = header["network"]["layers"][0]["shape"]
    return metadata.Metadata(
        parse_normalization(header),
        side,
        channels,
        tuple(names),
        tuple(header.get("thresholds", ())),
    )


def parse_normalization(header: dict[str, Any]) -> str:
    """Return the normalization of the images; a `ValueError` if unknown."""
    found = header.get("input", describe_input(normalizations.CAFFE))
    for name in normalizations.NORMALIZATIONS:
        if found == describe_input(name):
            return name
    raise ValueError(
        "its images must have one of the normalizations "
        f"{', '.join(normalizations.NORMALIZATIONS)}. Received: {found!r:.200}"
    )
