import dataclasses
import re
import subprocess

import pytest

from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import architecture
from keras_squeezenet.pretrained import normalizations
from keras_squeezenet.pretrained import sources

VARIANTS = architecture.VARIANTS
FILES = {file.name: file for each in sources.SOURCES for file in each.files}
COMMIT = re.compile(
    r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/.+"
)
BY_DIGEST = re.compile(
    r"https://download\.pytorch\.org/models/\w+-([0-9a-f]{8})\.pth"
)


def listed(name):
    return {each.variant for each in sources.SOURCES if each.name == name}


def test_sources_are_those_of_the_documentation():
    assert sources.NAMES == (
        "imagenet",
        "imagenet_dsd",
        "imagenet_deep_compression",
        "imagenet_torchvision",
    )
    assert listed("imagenet") == {"1.0", "1.1", "simple_bypass"}
    assert listed("imagenet_dsd") == {"1.0"}
    assert listed("imagenet_deep_compression") == {"1.0"}
    assert listed("imagenet_torchvision") == {"1.0", "1.1"}


def test_name_and_variant_tell_a_source():
    keys = [(source.name, source.variant) for source in sources.SOURCES]
    assert len(keys) == len(set(keys)) == 7


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_address_is_pinned(file):
    by_digest = BY_DIGEST.fullmatch(file.url)
    if by_digest:
        assert file.digest.algorithm == "sha256"
        assert file.digest.value.startswith(by_digest[1])
    else:
        assert COMMIT.fullmatch(file.url)


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_digest_is_whole_or_the_part_that_is_published(file):
    digits = {"git": 40, "sha256": 64}[file.digest.algorithm]
    if file.name == "squeezenet1_0-b66bff10.pth":
        digits = 8
    assert re.fullmatch(f"[0-9a-f]{{{digits}}}", file.digest.value)


def test_files_are_told_apart_by_name_and_by_digest():
    files = [file for each in sources.SOURCES for file in each.files]
    assert len({file.name for file in files}) == len(files) == 8
    assert len({file.digest for file in files}) == 8


def test_what_is_known_of_a_source_is_whole():
    for source in sources.SOURCES:
        assert source.variant in VARIANTS
        assert source.normalization in normalizations.NORMALIZATIONS
        assert source.title and source.license and source.reported_by
        assert re.fullmatch(r"arXiv:\d{4}\.\d{5}", source.citation)
        # In percent, and no better than the networks are.
        assert 57 < source.top_1 < 62
        assert 80 < source.top_5 < 84


@pytest.mark.parametrize(
    "name, size",
    [
        ("compressed_SqueezeNet.net", 675_763),
        (
            "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5",
            3_032_184,
        ),
    ],
)
def test_verified_files_have_been_read_here(name, size, shared_data):
    content = (shared_data / "weights" / name).read_bytes()
    assert FILES[name].verified
    assert FILES[name].size == len(content) == size
    assert FILES[name].digest == FILES[name].digest.of(content)


def test_other_files_are_not_called_verified(shared_data):
    unverified = {name for name, file in FILES.items() if not file.verified}
    here = {path.name for path in shared_data.rglob("*") if path.is_file()}
    assert len(unverified) == 6
    assert not unverified & here
    assert all(FILES[name].size is None for name in unverified)


@pytest.mark.parametrize(
    "content, digest",
    [
        (b"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        (b"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"),
    ],
)
def test_git_digest_is_that_of_git(content, digest):
    assert sources.Digest("git", digest).of(content).value == digest


def test_git_agrees(tmp_path):
    path = tmp_path / "content"
    path.write_bytes(bytes(range(256)))
    try:
        command = ["git", "hash-object", "--no-filters", str(path)]
        answer = subprocess.run(command, capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    digest = sources.Digest("git", "0" * 40).of(path.read_bytes())
    assert digest.value == answer.stdout.decode().strip()


def test_digest_has_as_many_digits_as_are_known():
    # What `printf 'hello\n' | sha256sum` prints.
    whole = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    known = sources.Digest("sha256", whole[:8])
    assert known.of(b"hello\n") == known
    assert known.of(b"hello") != known
    assert sources.Digest("sha256", whole).of(b"hello\n").value == whole
    assert str(known) == "sha256 5891b5b5"


@pytest.mark.parametrize("source", sources.SOURCES, ids=lambda each: each.title)
def test_source_is_found_for_its_network(source):
    assert sources.find(source.name, source.config) is source
    assert sources.find(source.name, VARIANTS[source.variant]) is source


@pytest.mark.parametrize("name", sources.NAMES)
def test_weights_serve_networks_for_transfer(name):
    """Those have no ReLU and no zeros around conv10, which has no weights."""
    for padding in (0, 1, 2):
        for activation in ("relu", None):
            config = dataclasses.replace(
                VARIANTS["1.0"],
                conv10_padding=padding,
                conv10_activation=activation,
            )
            assert sources.find(name, config).variant == "1.0"


def test_torchvisions_v1_0_was_trained_without_zeros_around_conv10():
    padding = {
        (source.name, source.variant): source.config.conv10_padding
        for source in sources.SOURCES
    }
    assert padding["imagenet_torchvision", "1.0"] == 0
    assert padding["imagenet", "1.0"] == 1
    assert padding["imagenet", "1.1"] == 0
    assert padding["imagenet", "simple_bypass"] == 1


def test_complex_bypass_is_told_what_there_is():
    message = (
        "There are no weights 'imagenet' of this network. Public ones are: "
        "1.0: 'imagenet', 'imagenet_dsd', 'imagenet_deep_compression', "
        "'imagenet_torchvision'; "
        "1.1: 'imagenet', 'imagenet_torchvision'; "
        "simple_bypass: 'imagenet'; complex_bypass: none. "
        "Pass `weights=None`, the path of a weights file, or another `config`. "
        "Received: weights='imagenet', config='complex_bypass'"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        sources.find("imagenet", VARIANTS["complex_bypass"])


@pytest.mark.parametrize(
    "name, config",
    [
        ("imagenet", SqueezeNetConfig(SR=0.25)),
        ("imagenet", VARIANTS["1.1"].for_small_images()),
        ("imagenet_dsd", VARIANTS["1.1"]),
        ("imagenet_torchvision", VARIANTS["simple_bypass"]),
        ("imagenet_v2", VARIANTS["1.0"]),
    ],
)
def test_network_without_such_weights_is_refused(name, config):
    with pytest.raises(ValueError, match="There are no weights") as raised:
        sources.find(name, config)
    assert str(raised.value).endswith(
        f"Received: weights={name!r}, config={architecture.describe(config)}"
    )


@pytest.mark.parametrize(
    "name, variant, found",
    [
        ("imagenet", None, "1.1"),
        ("imagenet", "simple_bypass", "simple_bypass"),
        ("imagenet_dsd", None, "1.0"),
        ("imagenet_deep_compression", None, "1.0"),
        ("imagenet_torchvision", None, "1.1"),
        ("imagenet_torchvision", "1.0", "1.0"),
    ],
)
def test_name_alone_means_v1_1_where_that_has_such_weights(
    name, variant, found
):
    source = sources.named(name, variant)
    assert (source.name, source.variant) == (name, found)


@pytest.mark.parametrize(
    "name, variant, message",
    [
        ("imagenet", "complex_bypass", "'imagenet' of complex_bypass. Public"),
        ("imagenet_dsd", "1.1", "'imagenet_dsd' of 1.1. Public"),
        ("imagenet_v2", None, "'imagenet_v2'. Public ones are: 1.0: "),
    ],
)
def test_name_of_no_source_is_refused(name, variant, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        sources.named(name, variant)


@pytest.mark.parametrize(
    "file, name, variant",
    [
        ("compressed_SqueezeNet.net", "imagenet_deep_compression", "1.0"),
        (
            "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "imagenet",
            "1.1",
        ),
    ],
)
def test_public_file_is_recognized_by_its_content(
    file, name, variant, shared_data
):
    content = (shared_data / "weights" / file).read_bytes()
    found = sources.identify(content)
    assert (found.name, found.variant) == (name, variant)
    assert sources.identify(content[:-1]) is None
    assert sources.identify(content + b"\0") is None


def test_other_files_are_not_recognized(shared_data):
    assert sources.identify(b"") is None
    for name in (
        "squeezenet1_1_directml_fp32.npz",
        "squeezenet_v1.1_caffe_fp32trunk_fp16conv10.npz",
    ):
        content = (shared_data / "weights" / name).read_bytes()
        assert sources.identify(content) is None
