"""Where the public pretrained weights are, as data; imports no framework.

Every address is pinned: by a commit, or by the digest in the file's name.
"""

import dataclasses
import hashlib

from keras_squeezenet import architecture

GITHUB = "https://raw.githubusercontent.com"
PYTORCH = "https://download.pytorch.org/models"

DEFAULT_VARIANT = "1.1"

SQUEEZENET_PAPER = "arXiv:1602.07360"
DEEP_COMPRESSION_PAPER = "arXiv:1510.00149"
DSD_PAPER = "arXiv:1607.04381"


@dataclasses.dataclass(frozen=True)
class Digest:
    """What a file's content hashes to.

    Args:
        algorithm: `"sha256"`, or `"git"`: the id that git gives the file,
            which is the SHA-1 of a header with its size and its content.
        value: hexadecimal digits, or the first of them where the publisher
            tells no more.
    """

    algorithm: str
    value: str

    def of(self, content):
        """Returns the digest of other content, as many digits of it."""
        digits = _hash(self.algorithm, content)
        return Digest(self.algorithm, digits[: len(self.value)])

    def __str__(self):
        return f"{self.algorithm} {self.value}"


def _hash(algorithm, content):
    if algorithm == "git":
        header = b"blob %d\0" % len(content)
        digest = hashlib.sha1(header + content, usedforsecurity=False)
    else:
        digest = hashlib.new(algorithm, content)
    return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class File:
    """A file to download.

    Args:
        url: str.
        digest: `Digest` of its content.
        size: int, in bytes, or `None` where it is not known.
        verified: whether this project's tests have read these very bytes.
    """

    url: str
    digest: Digest
    size: int | None = None
    verified: bool = False

    @property
    def name(self):
        return self.url.rpartition("/")[2]


@dataclasses.dataclass(frozen=True)
class Source:
    """Pretrained weights that somebody published.

    Args:
        name: what `weights=` takes.
        variant: a key of `architecture.VARIANTS`.
        title: a line about who trained what.
        file: `File` with all of the network's weights.
        license: an SPDX identifier, or what the publisher says.
        citation: the paper to cite.
        normalization: a key of `normalization.NORMALIZATIONS`, the input
            that the weights were trained on.
        top_1: float, the accuracy on ImageNet in percent as published.
        top_5: float, the same.
        reported_by: who measured them.
        no_top: `File` without the classifier, where there is one.
        conv10_padding: int, where the network was trained with other zeros
            around `conv10` than its variant has.
    """

    name: str
    variant: str
    title: str
    file: File
    license: str
    citation: str
    normalization: str
    top_1: float
    top_5: float
    reported_by: str
    no_top: File | None = None
    conv10_padding: int | None = None

    @property
    def config(self):
        """The `SqueezeNetConfig` of the network that was trained."""
        config = architecture.VARIANTS[self.variant]
        if self.conv10_padding is None:
            return config
        return dataclasses.replace(config, conv10_padding=self.conv10_padding)

    @property
    def files(self):
        return [file for file in (self.file, self.no_top) if file]


_FORRESTI = (
    f"{GITHUB}/forresti/SqueezeNet/51147dc0681638c28aad593b9e923f3500117125"
)

SOURCES = (
    Source(
        name="imagenet",
        variant="1.0",
        title="the paper's authors, Caffe",
        file=File(
            f"{_FORRESTI}/SqueezeNet_v1.0/squeezenet_v1.0.caffemodel",
            Digest("git", "a381d848b43d7048c3b362238ece2386c21d6ff0"),
        ),
        license="BSD-2-Clause",
        citation=SQUEEZENET_PAPER,
        normalization="squeezenet",
        top_1=57.5,
        top_5=80.3,
        reported_by="the paper, table 2",
    ),
    Source(
        name="imagenet",
        variant="1.1",
        title="the paper's authors, Caffe",
        file=File(
            f"{_FORRESTI}/SqueezeNet_v1.1/squeezenet_v1.1.caffemodel",
            Digest("git", "9d2fc33abf653a6e8b2ee6cc63ede0e72ec67f44"),
        ),
        no_top=File(
            f"{GITHUB}/rcmalli/keras-squeezenet/"
            "62b3f05869108b7e6b0510739473bf6ccfbf1073/weights/"
            "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5",
            Digest(
                "sha256",
                "2d935d8c102ad1232484a77da8e6fbdf3ff4ab608974a0d8b6283115ffff204f",
            ),
            size=3_032_184,
            verified=True,
        ),
        license="BSD-2-Clause",
        citation=SQUEEZENET_PAPER,
        normalization="squeezenet",
        top_1=57.5,
        top_5=80.3,
        reported_by="the authors: not below v1.0",
    ),
    Source(
        name="imagenet",
        variant="simple_bypass",
        title="Song Han, one of the paper's authors, Caffe",
        file=File(
            f"{GITHUB}/songhan/SqueezeNet-Residual/"
            "f8dc32059d17a7039cc337ceb664dc503f930d8d/"
            "SqueezeNet_residual_top1_0.6038_top5_0.8250.caffemodel",
            Digest("git", "f9d4678b926a742b6dea15e1c5ec60291a45d018"),
        ),
        license="not stated",
        citation=SQUEEZENET_PAPER,
        normalization="squeezenet",
        top_1=60.38,
        top_5=82.50,
        reported_by="the author's README",
    ),
    Source(
        name="imagenet_dsd",
        variant="1.0",
        title="Song Han, dense-sparse-dense training, Caffe",
        file=File(
            f"{GITHUB}/songhan/SqueezeNet-DSD-Training/"
            "de459d27c9e6cf6dd05ca2b74dcae4afe4b126c1/"
            "DSD_SqueezeNet_top1_0.617579_top5_0.834742.caffemodel",
            Digest("git", "ffce3635e4a837e7bc783fea3f48fcc48a1e93a6"),
        ),
        license="not stated",
        citation=DSD_PAPER,
        normalization="squeezenet",
        top_1=61.76,
        top_5=83.47,
        reported_by="the author's README",
    ),
    Source(
        name="imagenet_deep_compression",
        variant="1.0",
        title="the authors of Deep Compression: pruned, 256 shared values",
        file=File(
            f"{GITHUB}/songhan/SqueezeNet-Deep-Compression/"
            "fb13faa2cf121ced9999f8a9d538ec6c56084733/compressed_SqueezeNet.net",
            Digest(
                "sha256",
                "e4ab6960ae8cd81505e1c2136921201507e930966c53deaf15862a395b3a3261",
            ),
            size=675_763,
            verified=True,
        ),
        license="not stated",
        citation=DEEP_COMPRESSION_PAPER,
        normalization="squeezenet",
        top_1=57.5,
        top_5=80.3,
        reported_by="the paper, table 2",
    ),
    Source(
        name="imagenet_torchvision",
        variant="1.0",
        title="torchvision, PyTorch",
        file=File(
            f"{PYTORCH}/squeezenet1_0-b66bff10.pth",
            Digest("sha256", "b66bff10"),
        ),
        license="BSD-3-Clause",
        citation=SQUEEZENET_PAPER,
        normalization="torch",
        top_1=58.092,
        top_5=80.420,
        reported_by="torchvision",
        conv10_padding=0,
    ),
    Source(
        name="imagenet_torchvision",
        variant="1.1",
        title="torchvision, PyTorch",
        file=File(
            f"{PYTORCH}/squeezenet1_1-b8a52dc0.pth",
            Digest(
                "sha256",
                "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
            ),
        ),
        license="BSD-3-Clause",
        citation=SQUEEZENET_PAPER,
        normalization="torch",
        top_1=58.178,
        top_5=80.624,
        reported_by="torchvision",
    ),
)

NAMES = tuple(dict.fromkeys(source.name for source in SOURCES))


def find(name, config):
    """Returns the `Source` of that name for a network.

    `conv10`'s padding and activation are left out of the comparison: the
    weights fit whatever they are.

    Args:
        name: one of `NAMES`.
        config: `SqueezeNetConfig`.

    Raises:
        ValueError: if there are no such weights for this network; it says
            which there are.
    """
    for source in SOURCES:
        if source.name == name and _weights_alike(config, source.config):
            return source
    raise ValueError(
        f"There are no weights {name!r} of this network. Public ones are: "
        f"{_listing()}. Pass `weights=None`, the path of a weights file, or "
        f"another `config`. Received: weights={name!r}, "
        f"config={architecture.describe(config)}"
    )


def named(name, variant=None):
    """Returns the `Source` of that name, of one variant.

    Args:
        name: one of `NAMES`.
        variant: a key of `architecture.VARIANTS`. Defaults to `"1.1"`, the
            builders' default, where it has such weights, and otherwise to the
            variant that has.

    Raises:
        ValueError: if there is none; it says which there are.
    """
    found = {
        source.variant: source for source in SOURCES if source.name == name
    }
    if variant is None and found:
        return found.get(DEFAULT_VARIANT) or next(iter(found.values()))
    if variant not in found:
        raise ValueError(
            f"There are no weights {name!r}"
            f"{f' of {variant}' if variant else ''}. Public ones are: "
            f"{_listing()}."
        )
    return found[variant]


def identify(content):
    """Returns the `Source` whose file's content this is, or `None`."""
    # Once an algorithm, and not once a file.
    hashes = {}
    for source in SOURCES:
        for file in source.files:
            algorithm = file.digest.algorithm
            if algorithm not in hashes:
                hashes[algorithm] = _hash(algorithm, content)
            if hashes[algorithm].startswith(file.digest.value):
                return source
    return None


def _weights_alike(config, other):
    return config == dataclasses.replace(
        other,
        conv10_padding=config.conv10_padding,
        conv10_activation=config.conv10_activation,
    )


def _listing():
    return "; ".join(
        f"{variant}: "
        + (
            ", ".join(
                repr(source.name)
                for source in SOURCES
                if source.variant == variant
            )
            or "none"
        )
        for variant in architecture.VARIANTS
    )
