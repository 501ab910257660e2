"""Downloads: from a mirror or the internet into Keras's cache, checked.

The cache is that of `keras.utils.get_file`: `models` in `~/.keras`, or in
`$KERAS_HOME`. A file is in it whole and with its digest, or not at all, also
when several processes fetch it at once.
"""

import os
import pathlib
import tempfile

import keras
import requests
from keras.src.utils import io_utils

from keras_squeezenet.pretrained.readers import archive
from keras_squeezenet.utils import files

MIRROR = "KERAS_SQUEEZENET_MIRROR"
CACHE_SUBDIR = "models"
# Seconds to wait for a connection, and for the next bytes.
TIMEOUT = (10, 30)
ATTEMPTS = 3
CHUNK = 2**16


class DownloadError(OSError):
    """A file cannot be downloaded."""


def cache_folder():
    """Returns the `pathlib.Path` where Keras's applications keep weights."""
    home = os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras")
    # As `keras.utils.get_file` does it.
    if not os.access(home, os.W_OK):
        shared = "/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()
        home = os.path.join(shared, ".keras")
    return pathlib.Path(home, CACHE_SUBDIR)


def is_cached(file):
    """Whether a `sources.File` is in the cache, with its digest."""
    path = cache_folder() / file.name
    return path.is_file() and _digest(file, path) == file.digest


def fetch(file):
    """Returns the path of a file in the cache, downloading it if need be.

    The environment variable `KERAS_SQUEEZENET_MIRROR` may name a folder that
    has the files, or the address of one, instead of the internet.

    Args:
        file: `sources.File`.

    Raises:
        DownloadError: if it cannot be had.
        ValueError: if what came has another digest. The cache stays as it
            was.
    """
    path = cache_folder() / file.name
    if not is_cached(file):
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.new_file(path) as temporary:
            origin = _copy(file, temporary)
            _require_digest(file, temporary, origin)
    return str(path)


def _copy(file, path):
    """Copies a file from where it is to a path; returns where it was."""
    mirror = os.environ.get(MIRROR)
    if not mirror:
        return _download(file.url, path)
    if mirror.startswith(("http://", "https://")):
        return _download(f"{mirror.rstrip('/')}/{file.name}", path)
    mirrored = pathlib.Path(mirror).expanduser() / file.name
    if not mirrored.is_file():
        raise DownloadError(
            f"{MIRROR}={mirror} should be a folder with a file {file.name}, "
            "or the address of one. There is no such file."
        )
    path.write_bytes(archive.read_file(mirrored))
    return mirrored


def _download(url, path):
    io_utils.print_msg(f"Downloading data from {url}")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with open(path, "wb") as out:
                _stream(url, out)
            return url
        except requests.RequestException as error:
            if attempt == ATTEMPTS or _is_final(error):
                raise _failure(url, error) from error


def _is_final(error):
    """Whether asking again would change nothing, or only take long."""
    if isinstance(error, requests.HTTPError):
        return error.response.status_code < 500
    return isinstance(
        error, (requests.ConnectTimeout, requests.TooManyRedirects)
    )


def _stream(url, out):
    """Writes what an address answers to a file, with a progress bar."""
    # Unpacked by no one on the way, so that the length is the file's.
    headers = {"Accept-Encoding": "identity"}
    with requests.get(
        url, stream=True, timeout=TIMEOUT, headers=headers
    ) as response:
        response.raise_for_status()
        bar = keras.utils.Progbar(_length(response))
        for chunk in response.iter_content(CHUNK):
            out.write(chunk)
            archive.require_size(out.tell(), f"What {url} sends")
            bar.update(out.tell(), finalize=False)
        bar.update(out.tell(), finalize=True)


def _length(response):
    """How many bytes will come, or `None` where that is not known."""
    length = response.headers.get("Content-Length", "")
    # Some servers compress in spite of the header.
    if length.isdigit() and "Content-Encoding" not in response.headers:
        return int(length)
    return None


def _failure(url, error):
    return DownloadError(
        f"{url} cannot be downloaded: {_reason(error)}. Without the internet, "
        f"put the file into {cache_folder()}, or name a folder that has it, or "
        f"the address of one, in the environment variable {MIRROR}. "
        "`weights='cifar10'` comes with the package."
    )


def _reason(error):
    """What is at the bottom of an error, without the names of classes."""
    inner = getattr(next(iter(error.args), None), "reason", None)
    if inner is None:
        return error
    return str(inner).partition("): ")[2] or inner


def _require_digest(file, path, origin):
    received = _digest(file, path)
    if received != file.digest:
        raise ValueError(
            f"{origin} should have the digest {file.digest}. "
            f"Received: {received}. The download was thrown away."
        )


def _digest(file, path):
    return file.digest.of(path.read_bytes())
