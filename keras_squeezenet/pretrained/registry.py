"""The registry of pretrained weights, as data; imports no framework.

Weights that others published and weights in this package have the same kind of
entry. Every address is pinned by a commit, or by a digest in the file's name.
"""

import dataclasses
import os
from typing import Any

from keras_squeezenet import architecture
from keras_squeezenet import imagenet
from keras_squeezenet.pretrained import weights_file
from keras_squeezenet.pretrained.weights_file import Digest
from keras_squeezenet.pretrained.weights_file import File
from keras_squeezenet.utils import suggestions

GITHUB = "https://raw.githubusercontent.com"
PYTORCH = "https://download.pytorch.org/models"

DEFAULT_VARIANT = "1.1"

SQUEEZENET_PAPER = "arXiv:1602.07360"
DEEP_COMPRESSION_PAPER = "arXiv:1510.00149"
DSD_PAPER = "arXiv:1607.04381"

IMAGENET = "imagenet-1k"
CIFAR10_CLASSES = tuple(
    "airplane automobile bird cat deer dog frog horse ship truck".split()
)


@dataclasses.dataclass(frozen=True)
class Entry:
    """Pretrained weights of one network.

    Args:
        name: the value of `weights=`.
        variant: a key of `architecture.VARIANTS`.
        title: a line about who trained them.
        file: the file with all of the network's weights.
        license: an SPDX identifier.
        top_1: the published accuracy on `dataset` in percent.
        top_5: the published top-5 accuracy in percent.
        reported_by: who measured the accuracies.
        citation: the paper to cite.
        normalization: a key of `normalizations.NORMALIZATIONS`, the input that
            the weights were trained on.
        dataset: the data that the classifier was trained for.
        class_names: names of the classes in the order of the outputs. Empty for
            those of ImageNet.
        image_size: the side of the input images in pixels.
        no_top: the file without the classifier, if there is one.
        trained: the network that was trained. Defaults to the variant.
    """

    name: str
    variant: str
    title: str
    file: File
    license: str
    top_1: float
    top_5: float
    reported_by: str
    citation: str = SQUEEZENET_PAPER
    normalization: str = "squeezenet"
    dataset: str = IMAGENET
    class_names: tuple[str, ...] = ()
    image_size: int = architecture.DEFAULT_SIDE
    no_top: File | None = None
    trained: architecture.SqueezeNetConfig | None = None

    @property
    def config(self) -> architecture.SqueezeNetConfig:
        """The configuration of the network that was trained."""
        return self.trained or architecture.VARIANTS[self.variant]

    @property
    def labels(self) -> tuple[tuple[str | None, str], ...]:
        """The `(WordNet id or None, name)` of every class."""
        if self.class_names:
            return tuple((None, name) for name in self.class_names)
        return imagenet.imagenet_classes()

    @property
    def classes(self) -> int:
        return len(self.labels)

    @property
    def card(self) -> str:
        """The name of the model card in `weights/`."""
        return f"squeezenet_{self.variant}_{self.name}.md"

    @property
    def files(self) -> list[File]:
        return [file for file in (self.file, self.no_top) if file]

    def fits(
        self, config: architecture.SqueezeNetConfig, include_top: bool = True
    ) -> bool:
        """Return whether the weights are of this network.

        `conv10`'s padding and activation are ignored. The variant stands for
        the network that was trained. Without the top, which gets random
        weights, the network may also have other strides, padding and pooling,
        which have none.
        """
        if not include_top:
            return _layers(config) == _layers(self.config)
        adapted = self.adapt(config)
        return adapted == dataclasses.replace(
            self.config,
            conv10_padding=adapted.conv10_padding,
            conv10_activation=adapted.conv10_activation,
        )

    def adapt(
        self, config: architecture.SqueezeNetConfig
    ) -> architecture.SqueezeNetConfig:
        """Return the configuration to load the weights into.

        For the variant it is the network that was trained. Another `config`
        takes over the padding of that network's `conv10`, if the variant's
        differs.
        """
        variant = architecture.VARIANTS[self.variant]
        if config == variant:
            return self.config
        if self.config.conv10_padding == variant.conv10_padding:
            return config
        return dataclasses.replace(
            config, conv10_padding=self.config.conv10_padding
        )


def _layers(config):
    return config.bypass, architecture.convolutions(config, classes=None)


_FORRESTI = (
    f"{GITHUB}/forresti/SqueezeNet/51147dc0681638c28aad593b9e923f3500117125"
)
_IMGCLSMOB = "https://github.com/osmr/imgclsmob/releases/download"

# By accuracy, ImageNet first.
ENTRIES = (
    Entry(
        name="imagenet_dsd",
        variant="1.0",
        title="Song Han, dense-sparse-dense training, Caffe",
        file=File.published(
            f"{GITHUB}/songhan/SqueezeNet-DSD-Training/"
            "de459d27c9e6cf6dd05ca2b74dcae4afe4b126c1/"
            "DSD_SqueezeNet_top1_0.617579_top5_0.834742.caffemodel",
            Digest("git", "ffce3635e4a837e7bc783fea3f48fcc48a1e93a6"),
        ),
        license="BSD-2-Clause",
        citation=DSD_PAPER,
        top_1=61.76,
        top_5=83.47,
        reported_by="the author's README",
    ),
    Entry(
        name="imagenet_imgclsmob",
        variant="1.1",
        title="Oleg Semery's imgclsmob, Gluon",
        file=File.published(
            f"{_IMGCLSMOB}/v0.0.88/squeezenet_v1_1-1739-b9a8f9ea.h5.zip",
            Digest("sha1", "b9a8f9eae7a48d053895fe4a362d1d8eb592e994"),
        ),
        license="MIT",
        normalization="gluon",
        top_1=60.92,
        top_5=82.61,
        reported_by="the repository's logs",
    ),
    Entry(
        name="imagenet_imgclsmob",
        variant="1.0",
        title="Oleg Semery's imgclsmob, Gluon",
        file=File.published(
            f"{_IMGCLSMOB}/v0.0.128/squeezenet_v1_0-1756-a4890923.h5.zip",
            Digest("sha1", "a489092344c0214c402655210e031a1441bd70d1"),
        ),
        license="MIT",
        normalization="gluon",
        top_1=60.83,
        top_5=82.44,
        reported_by="the repository's logs",
        trained=dataclasses.replace(
            architecture.VARIANTS["1.0"], conv10_padding=0
        ),
    ),
    Entry(
        name="imagenet_imgclsmob",
        variant="simple_bypass",
        title="Oleg Semery's imgclsmob, Gluon",
        file=File.published(
            f"{_IMGCLSMOB}/v0.0.178/squeezeresnet_v1_0-1780-fb9a54aa.h5.zip",
            Digest("sha1", "fb9a54aac20d59f73111fee0745e144b183a66d9"),
        ),
        license="MIT",
        normalization="gluon",
        top_1=60.60,
        top_5=82.20,
        reported_by="the repository's logs",
        trained=dataclasses.replace(
            architecture.VARIANTS["simple_bypass"], conv10_padding=0
        ),
    ),
    Entry(
        name="imagenet",
        variant="simple_bypass",
        title="Song Han, one of the paper's authors, Caffe",
        file=File.published(
            f"{GITHUB}/songhan/SqueezeNet-Residual/"
            "f8dc32059d17a7039cc337ceb664dc503f930d8d/"
            "SqueezeNet_residual_top1_0.6038_top5_0.8250.caffemodel",
            Digest("git", "f9d4678b926a742b6dea15e1c5ec60291a45d018"),
        ),
        license="BSD-2-Clause",
        top_1=60.38,
        top_5=82.50,
        reported_by="the author's README",
    ),
    Entry(
        name="imagenet_imgclsmob",
        variant="1.1_simple_bypass",
        title="Oleg Semery's imgclsmob, Gluon",
        file=File.published(
            f"{_IMGCLSMOB}/v0.0.70/squeezeresnet_v1_1-1784-43ee9cbb.h5.zip",
            Digest("sha1", "43ee9cbbb91046f5316ee14e227f8323b1801b51"),
        ),
        license="MIT",
        normalization="gluon",
        top_1=60.18,
        top_5=82.16,
        reported_by="the repository's logs",
    ),
    Entry(
        name="imagenet_torchvision",
        variant="1.1",
        title="torchvision, PyTorch",
        file=File.published(
            f"{PYTORCH}/squeezenet1_1-b8a52dc0.pth",
            Digest(
                "sha256",
                "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
            ),
        ),
        license="BSD-3-Clause",
        normalization="torch",
        top_1=58.178,
        top_5=80.624,
        reported_by="torchvision",
    ),
    Entry(
        name="imagenet_torchvision",
        variant="1.0",
        title="torchvision, PyTorch",
        file=File.published(
            f"{PYTORCH}/squeezenet1_0-b66bff10.pth",
            Digest("sha256", "b66bff10"),
        ),
        license="BSD-3-Clause",
        normalization="torch",
        top_1=58.092,
        top_5=80.420,
        reported_by="torchvision",
        # Without the zeros around `conv10` that the authors' network has.
        trained=dataclasses.replace(
            architecture.VARIANTS["1.0"], conv10_padding=0
        ),
    ),
    Entry(
        name="imagenet",
        variant="1.0",
        title="the paper's authors, Caffe",
        file=File.published(
            f"{_FORRESTI}/SqueezeNet_v1.0/squeezenet_v1.0.caffemodel",
            Digest("git", "a381d848b43d7048c3b362238ece2386c21d6ff0"),
        ),
        license="BSD-2-Clause",
        top_1=57.5,
        top_5=80.3,
        reported_by="the paper, table 2",
    ),
    Entry(
        name="imagenet",
        variant="1.1",
        title="the paper's authors, Caffe",
        file=File.published(
            f"{_FORRESTI}/SqueezeNet_v1.1/squeezenet_v1.1.caffemodel",
            Digest("git", "9d2fc33abf653a6e8b2ee6cc63ede0e72ec67f44"),
        ),
        no_top=File.published(
            f"{GITHUB}/rcmalli/keras-squeezenet/"
            "62b3f05869108b7e6b0510739473bf6ccfbf1073/weights/"
            "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5",
            Digest(
                "sha256",
                "2d935d8c102ad1232484a77da8e6fbdf3ff4ab608974a0d8b6283115ffff204f",
            ),
            size=3_032_184,
        ),
        license="BSD-2-Clause",
        top_1=57.5,
        top_5=80.3,
        reported_by="the authors: not below v1.0",
    ),
    Entry(
        name="imagenet_deep_compression",
        variant="1.0",
        title="the authors of Deep Compression: pruned, 256 shared values",
        file=File.published(
            f"{GITHUB}/songhan/SqueezeNet-Deep-Compression/"
            "fb13faa2cf121ced9999f8a9d538ec6c56084733/compressed_SqueezeNet.net",
            Digest(
                "sha256",
                "e4ab6960ae8cd81505e1c2136921201507e930966c53deaf15862a395b3a3261",
            ),
            size=675_763,
        ),
        license="BSD-2-Clause",
        citation=DEEP_COMPRESSION_PAPER,
        top_1=57.5,
        top_5=80.3,
        reported_by="the paper, table 2",
    ),
    Entry(
        name="cifar10",
        variant="1.1",
        title="this project, CIFAR-10",
        file=File(
            "squeezenet_1.1_cifar10.sqz",
            Digest(
                "sha256",
                "8bff298db3b4d15487bfe7f61d09a31e01bd7bc1f2c309dedceed297d8990caf",
            ),
            size=329_853,
        ),
        license="Apache-2.0",
        normalization="caffe",
        top_1=89.75,
        top_5=99.66,
        reported_by="this project",
        dataset="cifar10",
        class_names=CIFAR10_CLASSES,
        image_size=32,
        # Without the pooling after fire3, since half of 32 pixels are few.
        trained=dataclasses.replace(
            architecture.VARIANTS["1.1"].for_small_images(),
            pools=("conv1", "fire5"),
        ),
    ),
)

# The files of networks that are named if the folder with them was received.
FILES = (".keras", ".onnx", ".sqz", ".tflite")
NAMES = tuple(dict.fromkeys(entry.name for entry in ENTRIES))


def find(
    name: str,
    config: "architecture.SqueezeNetConfig | str | None" = None,
    include_top: bool = True,
) -> Entry:
    """Return the weights of a name for a network.

    Args:
        name: one of `NAMES`.
        config: `SqueezeNetConfig` or the name of a variant. Defaults to
            `"1.1"`, or to another variant if v1.1 has no such weights.
        include_top: whether the classifier's weights are needed. If not, the
            network may have other strides, padding and pooling.

    Raises:
        ValueError: if there are no such weights for this network. The message
            lists those that exist.
    """
    named = {entry.variant: entry for entry in ENTRIES if entry.name == name}
    if named and config is None:
        return named.get(DEFAULT_VARIANT) or next(iter(named.values()))
    if config is not None:
        config = architecture.get_config(config)
        for entry in named.values():
            if entry.fits(config, include_top):
                return entry
    received = f"weights={name!r}"
    if config is not None:
        received += f", config={architecture.describe(config)}"
    raise ValueError(
        f"There are no weights {name!r}"
        f"{' for this network' if named else ''}. Pretrained weights are: "
        f"{_listing()}. Pass `weights=None`, the path of a weights file, or "
        f"another `config`. Received: {received}."
        f"{'' if named else suggestions.did_you_mean(name, NAMES)}"
    )


def require_name(model: Any) -> None:
    """Raise a `ValueError` for what is neither a name nor a path."""
    if not isinstance(model, str | os.PathLike):
        raise ValueError(
            "`model` must be a `keras.Model`, a path, or the name of "
            f"pretrained weights. Received: model={model!r}"
        )


def require_file(path: str) -> None:
    """Raise a `FileNotFoundError` for what is neither a name nor a file."""
    if os.path.isdir(path):
        found = [each for each in os.listdir(path) if each.endswith(FILES)]
        has = f": it has {', '.join(sorted(found))}" if found else ""
        raise FileNotFoundError(
            "a folder must be that of a SavedModel or for OpenVINO. Received: "
            f"{path}. Name a file or a folder in it{has}."
        )
    if not os.path.isfile(path):
        raise FileNotFoundError(
            "the model must be the path of a file or a folder, "
            "an address on the hub such as hf://owner/name, or the name of "
            f"pretrained weights ({', '.join(NAMES)}). Received: {path}."
            f"{suggestions.did_you_mean(path, NAMES)}"
        )


def identify(content: bytes) -> Entry | None:
    """Return the entry of a file with this content, or `None`."""
    hashes = {
        name: weights_file.hash_of(name, content)
        for name in weights_file.ALGORITHMS
    }
    for entry in ENTRIES:
        for file in entry.files:
            if hashes[file.digest.algorithm].startswith(file.digest.value):
                return entry
    return None


def _listing():
    names = {variant: [] for variant in architecture.VARIANTS}
    for entry in ENTRIES:
        names[entry.variant].append(repr(entry.name))
    return "; ".join(
        f"{variant}: {', '.join(found) or 'none'}"
        for variant, found in names.items()
    )
