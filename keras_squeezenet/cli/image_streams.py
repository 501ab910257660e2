"""Images that are not files: from the standard input, or from an address."""

import io
import re
import sys

from keras_squeezenet.utils import archive
from keras_squeezenet.utils.text import one_line
from keras_squeezenet.utils.text import shortened

STANDARD_INPUT = "-"
ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
SCHEMES = ("http", "https")
# For an image from an address.
SECONDS = 60


def is_stream(argument):
    """Return whether an argument is `-` or an address.

    An address that is not of the web is a `ValueError`.
    """
    found = ADDRESS.match(argument)
    if found and found[1].lower() not in SCHEMES:
        raise ValueError(
            "an address must begin with http:// or https://; a file is given "
            f"by its path. Received: {shortened(one_line(argument))}"
        )
    return bool(found) or argument == STANDARD_INPUT


def read(name):
    """Return what `-` or an address has, as a file in memory.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it has no bytes, or more than `archive.MAX_BYTES`.
    """
    content = _read_input() if name == STANDARD_INPUT else _download(name)
    if not content:
        raise ValueError("it is empty")
    return io.BytesIO(content)


def _read_input():
    if sys.stdin.isatty():
        raise ValueError(
            "the standard input must be an image, as in `keras-squeezenet "
            "predict - < photo.jpg`. Received: a terminal"
        )
    content = sys.stdin.buffer.read(archive.MAX_BYTES + 1)
    archive.require_size(len(content), "the standard input")
    return content


def _download(address):
    import requests

    from keras_squeezenet.utils import http_file

    received = io.BytesIO()
    try:
        http_file.download(address, received, SECONDS)
    except requests.RequestException as error:
        raise OSError(http_file.reason(error)) from error
    return received.getvalue()
