"""Find, download and verify files of pretrained weights.

The cache is that of `keras.utils.get_file`: `models` in `~/.keras`, or in
`$KERAS_HOME`. Only complete, verified files are moved into it, so several
processes can download at once.
"""

import contextlib
import logging
import os
import pathlib
import sys
import tempfile

from keras_squeezenet.pretrained import weights_file
from keras_squeezenet.utils import archive
from keras_squeezenet.utils import files

MIRROR = "KERAS_SQUEEZENET_MIRROR"
CACHE_SUBDIR = "models"
PACKAGE = pathlib.Path(__file__).parents[1]
# The weights of the installed package, and those of a checkout.
PACKAGE_FOLDERS = (PACKAGE / "weights", PACKAGE.parent / "weights")
# The suffix of a partly downloaded file.
PART = ".part"

logger = logging.getLogger(__name__)


class DownloadError(OSError):
    """A file cannot be downloaded."""


def cache_folder() -> pathlib.Path:
    """Return the folder where Keras's applications keep weights."""
    home = os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras")
    # As `import keras` and then `keras.utils.get_file` do it.
    with contextlib.suppress(OSError):
        os.makedirs(home, exist_ok=True)
    if not os.access(home, os.W_OK):
        shared = "/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()
        home = os.path.join(shared, ".keras")
    return pathlib.Path(home, CACHE_SUBDIR)


def is_available(file: weights_file.File) -> bool:
    """Return whether a verified file is present without a download."""
    return _stored(file) is not None


def fetch(file: weights_file.File) -> str:
    """Return the path of a file, downloading it if necessary; see `read`."""
    read(file)
    return str(_path(file))


def read(file: weights_file.File) -> bytes:
    """Return the weights in a file, downloading it if necessary.

    The environment variable `KERAS_SQUEEZENET_MIRROR` may name a folder with
    the files, or its address, to be used instead of the internet.

    Raises:
        FileNotFoundError: if a file of the package is not installed.
        DownloadError: if a file cannot be downloaded.
        ValueError: if the download has another digest. The cache is unchanged.
    """
    content = _stored(file)
    if content is not None:
        return content
    path = _path(file)
    if file.url is None:
        raise FileNotFoundError(
            f"the weights {file.name} must be installed with the package, "
            f"unchanged, as {path}. Install the package again."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + PART)
    with files.new_file(path) as temporary:
        # If there are several processes, only one resumes the download.
        with contextlib.suppress(FileNotFoundError):
            os.replace(part, temporary)
        is_resumed = temporary.exists()
        try:
            origin = _copy(file, temporary)
        except BaseException:
            if temporary.exists() and temporary.stat().st_size:
                os.replace(temporary, part)
            raise
        content = file.unpack(temporary.read_bytes())
        if is_resumed and file.digest.of(content) != file.digest:
            # The stopped download was of another file.
            temporary.unlink()
            origin = _copy(file, temporary)
            content = file.unpack(temporary.read_bytes())
        received = file.digest.of(content)
        if received != file.digest:
            packed = f"{file.weights_name} in " if file.is_archive else ""
            raise ValueError(
                f"{packed}{origin} must have the digest {file.digest}. "
                f"Received: {received}. The download was deleted."
            )
    return content


def _path(file):
    """Return where a file is, or will be stored."""
    if file.url is not None:
        return cache_folder() / file.name
    paths = [folder / file.name for folder in PACKAGE_FOLDERS]
    return next((path for path in paths if path.is_file()), paths[0])


def _stored(file):
    """Return the weights in a verified file on this machine, or `None`."""
    path = _path(file)
    if not path.is_file():
        return None
    content = file.unpack(path.read_bytes())
    return content if file.digest.of(content) == file.digest else None


def _copy(file, path):
    """Copy a file from its origin to `path`, and return the origin."""
    mirror = os.environ.get(MIRROR)
    if not mirror:
        return _download(file.url, path)
    if mirror.startswith(("http://", "https://")):
        return _download(f"{mirror.rstrip('/')}/{file.name}", path)
    mirrored = pathlib.Path(mirror).expanduser() / file.name
    if not mirrored.is_file():
        raise DownloadError(
            f"{MIRROR}={mirror} must be a folder that has the file "
            f"{file.name}, or the address of such a folder. There is no such "
            "file."
        )
    path.write_bytes(archive.read_file(mirrored))
    return mirrored


def _download(url, path):
    import keras
    import requests

    from keras_squeezenet.utils import http_file

    logger.info("Downloading data from %s", url)
    try:
        # The standard output is for results.
        with open(path, "ab") as out, contextlib.redirect_stdout(sys.stderr):
            http_file.download(url, out, make_bar=keras.utils.Progbar)
    except requests.RequestException as error:
        raise DownloadError(
            f"{url} cannot be downloaded: {http_file.reason(error)}. Without "
            f"the internet, put the file into {cache_folder()}, or set the "
            f"environment variable {MIRROR} to a folder that has it, or to the "
            "address of one. `weights='cifar10'` comes with the package."
        ) from error
    return url
