"""The registry finds weights by name and by content."""

import dataclasses
import re

import pytest

from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import architecture
from keras_squeezenet import normalizations
from keras_squeezenet.pretrained import download
from keras_squeezenet.pretrained import registry

VARIANTS = architecture.VARIANTS
ENTRIES = registry.ENTRIES
FILES = {file.name: file for each in ENTRIES for file in each.files}
PUBLISHED = {name: file for name, file in FILES.items() if file.url}
COMMIT = re.compile(
    r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/.+"
)
BY_DIGEST = re.compile(
    r"https://download\.pytorch\.org/models/\w+-([0-9a-f]{8})\.pth"
    r"|https://github\.com/osmr/imgclsmob/releases/download/"
    r"v0\.0\.\d+/\w+-\d{4}-([0-9a-f]{8})\.h5\.zip"
)
POOLED_TWICE = dataclasses.replace(
    VARIANTS["1.1"].for_small_images(), pools=("conv1", "fire5")
)

every_entry = pytest.mark.parametrize(
    "entry", ENTRIES, ids=[entry.card for entry in ENTRIES]
)


def test_name_and_variant_tell_an_entry():
    keys = [(entry.name, entry.variant) for entry in ENTRIES]
    assert len(keys) == len(set(keys)) == 12


def test_entries_are_sorted_by_accuracy_those_of_imagenet_first():
    keys = [(entry.dataset != "imagenet-1k", -entry.top_1) for entry in ENTRIES]
    assert keys == sorted(keys)


@pytest.mark.parametrize("file", PUBLISHED.values(), ids=PUBLISHED)
def test_address_is_pinned(file):
    by_digest = BY_DIGEST.fullmatch(file.url)
    if by_digest:
        assert file.digest.algorithm == ("sha1" if by_digest[2] else "sha256")
        assert file.digest.value.startswith(by_digest[1] or by_digest[2])
    else:
        assert COMMIT.fullmatch(file.url)


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_digest_is_whole_or_the_part_that_is_published(file):
    digits = {"git": 40, "sha1": 40, "sha256": 64}[file.digest.algorithm]
    if file.name == "squeezenet1_0-b66bff10.pth":
        digits = 8
    assert re.fullmatch(f"[0-9a-f]{{{digits}}}", file.digest.value)


def test_files_differ_in_name_and_digest():
    files = [file for entry in ENTRIES for file in entry.files]
    assert len({file.name for file in files}) == len(files) == 13
    assert len({file.digest for file in files}) == 13


@every_entry
def test_entry_is_complete(entry):
    assert entry.variant in VARIANTS
    assert entry.normalization in normalizations.NORMALIZATIONS
    assert entry.title and entry.license and entry.reported_by
    assert re.fullmatch(r"arXiv:\d{4}\.\d{5}", entry.citation)
    assert entry.top_1 < entry.top_5 < 100
    assert len(entry.labels) == entry.classes
    assert entry.image_size >= architecture.min_side(entry.config)


def test_classes_are_those_of_the_data():
    imagenet, cifar10 = (
        registry.find(name) for name in ("imagenet", "cifar10")
    )
    assert (imagenet.classes, imagenet.image_size) == (1000, 227)
    assert imagenet.labels[1] == ("n01443537", "goldfish")
    assert (cifar10.classes, cifar10.image_size) == (10, 32)
    assert cifar10.labels[0] == (None, "airplane")


@pytest.mark.parametrize(
    "file, size, name, variant",
    [
        (
            "compressed_SqueezeNet.net",
            675_763,
            "imagenet_deep_compression",
            "1.0",
        ),
        (
            "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5",
            3_032_184,
            "imagenet",
            "1.1",
        ),
    ],
)
def test_verified_file_is_recognized_by_its_content(
    file, size, name, variant, shared_data
):
    content = (shared_data / "weights" / file).read_bytes()
    assert FILES[file].verified
    assert FILES[file].size == len(content) == size
    assert FILES[file].digest == FILES[file].digest.of(content)
    found = registry.identify(content)
    assert (found.name, found.variant) == (name, variant)
    assert registry.identify(content[:-1]) is None
    assert registry.identify(content + b"\0") is None


def test_packaged_files_are_here_unchanged():
    packaged = [file for file in FILES.values() if file.url is None]
    assert [file.name for file in packaged] == ["squeezenet_1.1_cifar10.sqz"]
    for file in packaged:
        assert len(download.read(file)) == file.size


def test_packaged_files_take_a_few_megabytes():
    paths = download.PACKAGE_FOLDERS[-1].glob("*")
    assert sum(path.stat().st_size for path in paths) <= 6_000_000


def test_other_files_are_not_called_verified(shared_data):
    unverified = {name for name, file in FILES.items() if not file.verified}
    here = {path.name for path in shared_data.rglob("*") if path.is_file()}
    assert len(unverified) == 10
    assert not unverified & here


@every_entry
def test_entry_is_found_for_its_network(entry):
    assert registry.find(entry.name, entry.config) is entry
    assert registry.find(entry.name, VARIANTS[entry.variant]) is entry
    assert registry.find(entry.name, entry.variant) is entry
    for config in (entry.config, entry.variant):
        assert registry.find(entry.name, config, include_top=False) is entry
    assert entry.adapt(VARIANTS[entry.variant]) == entry.config


@pytest.mark.parametrize(
    "name", ["imagenet", "imagenet_dsd", "imagenet_torchvision"]
)
def test_weights_serve_networks_for_transfer(name):
    """Those have no ReLU and no zeros around conv10, which has no weights."""
    for padding in (0, 1, 2):
        for activation in ("relu", None):
            config = dataclasses.replace(
                VARIANTS["1.0"],
                conv10_padding=padding,
                conv10_activation=activation,
            )
            assert registry.find(name, config).variant == "1.0"


@pytest.mark.parametrize(
    "name, config",
    [
        ("imagenet", VARIANTS["1.1"].for_small_images()),
        ("imagenet", POOLED_TWICE),
        ("imagenet_torchvision", POOLED_TWICE),
        ("cifar10", VARIANTS["1.1"]),
        ("cifar10", VARIANTS["1.1"].for_small_images()),
    ],
)
def test_weights_without_the_top_fit_other_strides_and_pooling(name, config):
    assert registry.find(name, config, include_top=False).variant == "1.1"


@pytest.mark.parametrize(
    "config",
    [
        # Its first kernels are 3x3, and those of the weights 7x7.
        VARIANTS["1.0"].for_small_images(),
        dataclasses.replace(VARIANTS["1.1"], bypass="simple"),
        SqueezeNetConfig(SR=0.25),
    ],
)
def test_weights_without_the_top_are_of_the_same_layers(config):
    with pytest.raises(ValueError, match="There are no weights 'imagenet'"):
        registry.find("imagenet", config, include_top=False)


def test_padding_is_adapted_only_where_another_was_trained():
    config = dataclasses.replace(
        VARIANTS["1.0"], conv10_padding=2, conv10_activation=None
    )
    authors = registry.find("imagenet", "1.0")
    torchvision = registry.find("imagenet_torchvision", "1.0")
    assert authors.adapt(config) == config
    assert torchvision.adapt(config) == dataclasses.replace(
        config, conv10_padding=0
    )


def test_complex_bypass_is_told_what_there_is():
    message = (
        "There are no weights 'imagenet' for this network. Pretrained weights "
        "are: 1.0: 'imagenet_dsd', 'imagenet_imgclsmob', "
        "'imagenet_torchvision', 'imagenet', 'imagenet_deep_compression'; "
        "1.1: 'imagenet_imgclsmob', 'imagenet_torchvision', 'imagenet', "
        "'cifar10'; simple_bypass: 'imagenet_imgclsmob', 'imagenet'; "
        "complex_bypass: none; 1.1_simple_bypass: 'imagenet_imgclsmob'. "
        "Pass `weights=None`, the path of a weights file, or another `config`. "
        "Received: weights='imagenet', config='complex_bypass'."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        registry.find("imagenet", VARIANTS["complex_bypass"])


@pytest.mark.parametrize(
    "name, config",
    [
        ("imagenet", SqueezeNetConfig(SR=0.25)),
        ("imagenet", VARIANTS["1.1"].for_small_images()),
        ("imagenet_dsd", VARIANTS["1.1"]),
        ("imagenet_torchvision", VARIANTS["simple_bypass"]),
        ("cifar10", VARIANTS["1.0"]),
        ("cifar10", VARIANTS["1.1"].for_small_images()),
    ],
)
def test_network_without_such_weights_is_refused(name, config):
    with pytest.raises(ValueError, match="for this network") as raised:
        registry.find(name, config)
    assert str(raised.value).endswith(
        f"Received: weights={name!r}, config={architecture.describe(config)}."
    )


@pytest.mark.parametrize(
    "name, variant, found",
    [
        ("imagenet", None, "1.1"),
        ("imagenet", "simple_bypass", "simple_bypass"),
        ("imagenet_deep_compression", None, "1.0"),
        ("imagenet_torchvision", None, "1.1"),
        ("imagenet_torchvision", "1.0", "1.0"),
        ("imagenet_imgclsmob", None, "1.1"),
        ("imagenet_imgclsmob", "1.1_simple_bypass", "1.1_simple_bypass"),
    ],
)
def test_name_alone_means_v1_1_where_that_has_such_weights(
    name, variant, found
):
    entry = registry.find(name, variant)
    assert (entry.name, entry.variant) == (name, found)


def test_misspelled_name_suggests_the_nearest():
    with pytest.raises(
        ValueError,
        match="no weights 'imagenet_dsb'. .*Did you mean 'imagenet_dsd'?",
    ):
        registry.find("imagenet_dsb")


def test_other_files_are_not_recognized(shared_data):
    assert registry.identify(b"") is None
    for name in (
        "squeezenet1_1_directml_fp32.npz",
        "squeezenet_v1.1_caffe_fp32trunk_fp16conv10.npz",
    ):
        content = (shared_data / "weights" / name).read_bytes()
        assert registry.identify(content) is None
