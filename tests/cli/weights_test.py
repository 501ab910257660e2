import dataclasses
import errno
import json
import os
import re
import shutil
import tempfile

import keras
import numpy as np
import pytest

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNet1_0
from keras_squeezenet import SqueezeNet1_1
from keras_squeezenet import SqueezeNetSimpleBypass
from keras_squeezenet import architecture
from keras_squeezenet import codec
from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet import normalizations
from keras_squeezenet import pretrained
from keras_squeezenet.cli import weights
from keras_squeezenet.pretrained import download
from keras_squeezenet.pretrained import readers
from keras_squeezenet.pretrained import registry

NET = "compressed_SqueezeNet.net"
NO_TOP = "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5"
TORCH = "squeezenet1_1_directml_fp32.npz"
SHAPE = (48, 48, 3)
ALL = (
    "imagenet_dsd 1.0",
    "imagenet_imgclsmob 1.1",
    "imagenet_imgclsmob 1.0",
    "imagenet_imgclsmob simple_bypass",
    "imagenet simple_bypass",
    "imagenet_imgclsmob 1.1_simple_bypass",
    "imagenet_torchvision 1.1",
    "imagenet_torchvision 1.0",
    "imagenet 1.0",
    "imagenet 1.1",
    "imagenet_deep_compression 1.0",
    "cifar10 1.1",
)


@pytest.fixture
def run(run_command):
    """Returns the exit status and the standard output of the command."""
    return lambda *arguments: run_command(weights, *arguments)[:2]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of downloads, which is not there yet."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path / "models"


@pytest.fixture
def files(shared_data):
    """The folder of the public files that tests may read."""
    return shared_data / "weights"


@pytest.fixture
def mirror(files, cache, monkeypatch):
    monkeypatch.setenv(download.MIRROR, str(files))


@pytest.fixture
def small_sources(tmp_path, monkeypatch):
    """Every source, with a small file, on a mirror that has all of them."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    changed = []
    for number, source in enumerate(registry.ENTRIES):
        if source.file.url is None:
            changed.append(source)
            continue
        content = b"%d" % number
        (folder / source.file.name).write_bytes(content)
        file = dataclasses.replace(
            source.file, digest=source.file.digest.of(content), size=1
        )
        changed.append(dataclasses.replace(source, file=file))
    monkeypatch.setattr(registry, "ENTRIES", tuple(changed))
    monkeypatch.setenv(download.MIRROR, str(folder))
    return folder


def images(count=2, shape=SHAPE):
    rng = np.random.default_rng(0)
    return rng.normal(scale=50, size=(count, *shape)).astype("float32")


def assert_same_weights(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def assert_same_outputs(model, expected):
    """Of images of a size that `expected` takes."""
    x = images(shape=expected.input_shape[1:])
    outputs = expected.predict_on_batch(x)
    assert outputs.std() > 0
    np.testing.assert_allclose(model.predict_on_batch(x), outputs, rtol=1e-4)


@pytest.mark.parametrize(
    "arguments,received",
    [([], "no argument"), (["lits"], "lits. Did you mean 'list'")],
)
def test_action_must_be_known(arguments, received, run):
    with pytest.raises(
        ValueError,
        match=f"one of list, fetch, convert, verify must.*: {received}",
    ):
        run(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "all"],
        ["fetch"],
        ["convert"],
        ["convert", "a.npz"],
        ["convert", "a.npz", "b.keras", "c.keras"],
        ["verify"],
    ],
)
def test_wrong_number_of_arguments_is_an_error(arguments, run):
    received = " ".join(arguments[1:]) or "no argument"
    with pytest.raises(
        ValueError, match=f"^{arguments[0]} takes .*Received: {received}$"
    ):
        run(*arguments)


@pytest.mark.parametrize(
    "action,flag",
    [
        ("list", "--config=1.0"),
        ("fetch", "--json"),
        ("convert", "--json"),
        ("verify", "--overwrite"),
        ("verify", "--normalization=tf"),
    ],
)
def test_flag_of_another_action_is_refused(action, flag, run):
    name, _, _ = flag.partition("=")
    with pytest.raises(ValueError, match=f"^{action} does not take {name}"):
        run(action, "imagenet", flag)


def test_every_action_is_in_the_help():
    for action in weights.ACTIONS:
        assert re.search(rf"^{action} ", weights.__doc__, re.MULTILINE)


def test_json_lists_the_sources(run, cache):
    status, out = run("list", "--json")
    assert status == 0
    rows = json.loads(out)
    assert tuple(f"{row['name']} {row['config']}" for row in rows) == ALL
    source = registry.ENTRIES[10]
    assert rows[10] == {
        "name": "imagenet_deep_compression",
        "config": "1.0",
        "title": source.title,
        "url": source.file.url,
        "digest": f"sha256 {source.file.digest.value}",
        "bytes": 675_763,
        "no_top_url": None,
        "top_1": 57.5,
        "top_5": 80.3,
        "reported_by": source.reported_by,
        "normalization": "squeezenet",
        "license": source.license,
        "citation": source.citation,
        "read_by_tests": True,
        "cached": False,
    }
    assert [row["name"] for row in rows if row["cached"]] == ["cifar10"]
    assert rows[9]["no_top_url"].endswith(NO_TOP)
    assert [row["no_top_url"] for row in rows].count(None) == 11


def test_table_lists_the_sources(run, cache):
    status, out = run("list")
    assert status == 0
    lines = [re.split(" {2,}", line.strip()) for line in out.splitlines()]
    assert ["imagenet", "1.0", "57.5/80.3", "?", "no", "BSD-2-Clause"] in lines
    assert lines[0] == [
        "Take imagenet_imgclsmob for v1.1, or imagenet_dsd where 2.2 times the "
        "computation (v1.0) are worth 0.8 points. The most accurate come first."
    ]
    assert lines[2] == ["Pretrained weights"]
    assert lines[15][:5] == [
        *("imagenet_deep_compression", "1.0", "57.5/80.3", "676", "no"),
    ]
    assert tuple(" ".join(line[:2]) for line in lines[5:17]) == ALL
    assert max(map(len, out.splitlines()[1:18])) <= 80
    assert f"Here: with the package, or in {cache}.\n" in out


def test_list_tells_what_is_here(run, mirror, cache):
    run("fetch", "imagenet_deep_compression")
    rows = json.loads(run("list", "--json")[1])
    assert [row["name"] for row in rows if row["cached"]] == [
        "imagenet_deep_compression",
        "cifar10",
    ]
    assert run("list")[1].count(" yes ") == 2
    # A file with another content is as good as none.
    (cache / NET).write_bytes(b"damaged")
    assert run("list")[1].count(" yes ") == 1


def test_source_is_fetched_into_the_cache(run, cache, files, mirror):
    for _ in range(2):
        status, out = run("fetch", "imagenet_deep_compression")
        assert status == 0
        assert out.splitlines()[-1] == (
            f"imagenet_deep_compression, 1.0: {cache / NET}"
        )
    assert (cache / NET).read_bytes() == (files / NET).read_bytes()
    assert [path.name for path in cache.iterdir()] == [NET]


def fetched(out):
    return tuple(
        line.partition(": ")[0].replace(",", "") for line in out.splitlines()
    )


@pytest.mark.parametrize(
    "arguments,names",
    [
        (["all"], ALL),
        (["all", "--config=1.0"], [name for name in ALL if "1.0" in name]),
        (["imagenet", "--config=simple_bypass"], ["imagenet simple_bypass"]),
        (
            ["imagenet_torchvision", "imagenet"],
            ["imagenet_torchvision 1.1", "imagenet 1.1"],
        ),
    ],
)
def test_sources_are_fetched_by_name(
    arguments, names, run, cache, small_sources
):
    status, out = run("fetch", *arguments)
    assert (status, fetched(out)) == (0, tuple(names))
    downloaded = [name for name in names if name != "cifar10 1.1"]
    assert len(list(cache.iterdir())) == len(downloaded)
    for line in out.splitlines():
        assert os.path.isfile(line.partition(": ")[2])


@pytest.mark.parametrize(
    "arguments,text",
    [
        (["all", "imagenet"], "no weights 'all'"),
        (["imagenet", "imagnet"], "no weights 'imagnet'.*mean 'imagenet'"),
        (["imagenet_dsd", "--config=1.1"], "no weights 'imagenet_dsd' for"),
        (["imagenet", "--config=2.0"], "--config must be one of 1.0, 1.1"),
    ],
)
def test_unknown_source_is_refused_before_any_download(
    arguments, text, run, cache, small_sources
):
    with pytest.raises(ValueError, match=text):
        run("fetch", *arguments)
    assert not cache.exists()


def test_source_with_other_bytes_is_refused(run, cache, small_sources):
    (small_sources / NET).write_bytes(b"other")
    with pytest.raises(ValueError, match=f"{NET} must have the digest sha25"):
        run("fetch", "imagenet_deep_compression")
    assert not any(cache.iterdir())


@pytest.mark.parametrize(
    "given,name",
    [
        (NET, "out.keras"),
        (NET, "out.weights.h5"),
        ("imagenet_deep_compression", "out.sqz"),
    ],
)
def test_net_is_converted(given, name, run, here, files, mirror):
    path = files / given if given == NET else given
    status, out = run("convert", path, name)
    assert status == 0
    first, last = out.splitlines()
    assert first.endswith(
        f"{given}: 1.0, 1,000 classes, 1,248,424 parameters, input 'squeezenet'"
    )
    assert last == f"Written to {name}"
    digests = [f"{name}.sha256"] if name.endswith(".h5") else []
    assert sorted(os.listdir()) == [name, *digests]
    expected = SqueezeNet1_0(weights=str(files / NET))
    model = SqueezeNet1_0(weights=name)
    assert_same_weights(model.get_weights(), expected.get_weights())
    if name == "out.keras":
        loaded = keras.models.load_model(name)
        assert loaded.input_shape == (None, 227, 227, 3)
        assert loaded.name == "squeezenet"
        assert_same_weights(loaded.get_weights(), expected.get_weights())


def test_legacy_file_without_the_top_is_converted(run, here, files):
    status, out = run("convert", files / NO_TOP, "out.weights.h5")
    assert status == 0
    assert "1.1, without the classifier, 722,496 parameters" in out
    arguments = {"include_top": False, "input_shape": SHAPE}
    assert_same_outputs(
        SqueezeNet1_1(weights="out.weights.h5", **arguments),
        SqueezeNet1_1(weights=str(files / NO_TOP), **arguments),
    )
    run("convert", files / NO_TOP, "out.keras")
    loaded = keras.models.load_model("out.keras")
    assert loaded.input_shape == (None, None, None, 3)


def test_normalization_is_folded_in(run, here, files):
    run("convert", files / TORCH, "out.weights.h5", "--normalization=torch")
    run("convert", files / TORCH, "as_is.weights.h5")
    x = np.random.default_rng(0).integers(0, 256, (2, *SHAPE))
    x = x.astype("float32")
    outputs = [
        SqueezeNet1_1(weights=path, input_shape=SHAPE).predict_on_batch(
            keras.applications.imagenet_utils.preprocess_input(
                x.copy(), mode=mode
            )
        )
        for path, mode in (
            ("out.weights.h5", "caffe"),
            ("as_is.weights.h5", "torch"),
            ("as_is.weights.h5", "caffe"),
        )
    ]
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-4)
    assert abs(outputs[0] - outputs[2]).max() > 0.1


@pytest.fixture(scope="module")
def written(tmp_path_factory, randomize, write_npz):
    path = tmp_path_factory.mktemp("written") / "small.npz"
    model = SqueezeNet1_0(weights=None, input_shape=SHAPE, classes=7)
    write_npz(path, randomize(model))
    return path


@pytest.fixture
def npz(written, tmp_path):
    """A file of v1.0, or of the simple bypass, with 7 classes."""
    return shutil.copy(written, tmp_path / "small.npz")


@pytest.mark.parametrize("name", ["out.keras", "out.weights.h5"])
def test_number_of_classes_is_kept(name, run, here, npz):
    _, out = run("convert", npz, name)
    assert out.startswith(f"{npz}: 1.0, 7 classes, ")
    assert out.splitlines()[0].endswith("input 'caffe'")
    arguments = {"classes": 7, "input_shape": SHAPE}
    assert_same_outputs(
        SqueezeNet1_0(weights=name, **arguments),
        SqueezeNet1_0(weights=str(npz), **arguments),
    )


def test_converted_file_is_converted_back(run, here, npz):
    run("convert", npz, "out.weights.h5")
    run("convert", "out.weights.h5", "out.keras")
    run("convert", "out.keras", "again.weights.h5")
    expected, found = readers.read(npz), readers.read("again.weights.h5")
    assert found.keys() == expected.keys()
    for name, arrays in found.items():
        assert_same_weights(arrays, expected[name])


@pytest.mark.parametrize("name", ["out.keras", "out.sqz", "out.weights.h5"])
def test_converted_file_says_what_its_network_takes(
    name, run, here, npz, caplog
):
    run("convert", npz, name, "--normalization=torch")
    assert pretrained.open_weights(name).normalization == "caffe"
    assert caplog.messages == []
    message = f"{name} was trained on .*normalization='caffe', as its file says"
    with pytest.raises(ValueError, match=message):
        run("convert", name, "again.sqz", "--normalization=torch")


@pytest.mark.parametrize("source", ["model.keras", "model.sqz"])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_network_of_a_model_is_kept(source, activation, run, here, randomize):
    config = dataclasses.replace(
        architecture.VARIANTS["1.1"],
        stem=architecture.Stem(64, 3, strides=1),
        conv10_activation=None,
    )
    model = SqueezeNet(
        weights=None,
        config=config,
        input_shape=(32, 32, 3),
        classes=3,
        classifier_activation=activation,
    )
    randomize(model)
    names = ("tulip", "rose", "daisy")
    thresholds = (0.25, 0.5, 0.75) if activation == "sigmoid" else ()
    found = metadata.Metadata("torch", 32, 3, names, thresholds)
    metadata.attach(model, found)
    (models.save if source == "model.keras" else codec.save)(model, source)
    run("convert", source, "out.sqz")
    run("convert", "out.sqz", "out.keras")
    rgb = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3))
    images = normalizations.get("torch").apply(rgb)
    expected = model.predict_on_batch(images)
    assert expected.std() > 0.01
    for name in ("out.sqz", "out.keras"):
        converted = models.load(name)
        assert metadata.of(converted) == dataclasses.replace(
            found, normalization="caffe"
        )
        outputs = converted.predict_on_batch(normalizations.OURS.apply(rgb))
        np.testing.assert_allclose(outputs, expected, atol=1e-4)
    with pytest.raises(ValueError, match="--config is for pretrained weights"):
        run("convert", source, "other.sqz", "--config=simple_bypass")


def test_names_of_a_thousand_classes_are_kept(run, here):
    model = SqueezeNet(weights=None, input_shape=SHAPE)
    names = tuple(f"plant {index}" for index in range(1000))
    metadata.attach(model, metadata.Metadata("caffe", 48, 3, names))
    models.save(model, "plants.keras")
    run("convert", "plants.keras", "plants.sqz")
    assert metadata.of(models.load("plants.sqz")).class_names == names


def names_of_layers(path):
    return [layer.name for layer in keras.models.load_model(path).layers]


def test_config_names_the_network(run, here, npz):
    _, out = run("convert", npz, "out.keras", "--config=simple_bypass")
    assert out.startswith(f"{npz}: simple_bypass, 7 classes, ")
    assert "fire3_bypass" in names_of_layers("out.keras")
    run("convert", npz, "other.keras")
    assert "fire3_bypass" not in names_of_layers("other.keras")


@pytest.mark.parametrize(
    "name,variant,said,layer,is_there",
    [
        (
            *("imagenet", "simple_bypass", "input 'squeezenet'"),
            *("fire3_bypass", True),
        ),
        (
            *("imagenet_torchvision", "1.0"),
            "with conv10_padding=0: a .keras and a .sqz file keep that",
            *("conv10_pad", False),
        ),
    ],
)
def test_public_file_is_converted_as_its_entry_says(
    name, variant, said, layer, is_there, run, here, npz, monkeypatch
):
    entry = registry.find(name, variant)
    digest = entry.file.digest.of(npz.read_bytes())
    file = dataclasses.replace(entry.file, digest=digest)
    entry = dataclasses.replace(entry, file=file)
    monkeypatch.setattr(registry, "ENTRIES", (entry,))
    _, out = run("convert", npz, "out.keras")
    assert out.startswith(f"{npz}: {variant}, 7 classes, ")
    assert f"input {entry.normalization!r}" in out and said in out
    assert (layer in names_of_layers("out.keras")) is is_there


@pytest.mark.parametrize(
    "name", ["out", "out.h5", "out.npz", "weights.h5", "keras"]
)
def test_target_of_another_suffix_is_refused(name, run, here, npz):
    with pytest.raises(
        ValueError, match=f"one of .weights.h5, .keras, .sqz. Received: {name}$"
    ):
        run("convert", npz, name)
    assert os.listdir() == []


def test_existing_target_is_replaced_with_overwrite_only(run, here, npz):
    name = "out.weights.h5"
    (here / name).write_text("earlier")
    with pytest.raises(FileExistsError, match=f"{name} exists.*--overwrite"):
        run("convert", npz, name)
    assert (here / name).read_text() == "earlier"
    assert run("convert", npz, name, "--overwrite")[0] == 0
    assert len(readers.read(name)) == 26
    assert name in os.listdir()


def test_full_disk_is_known_before_the_weights_are_read(
    run, here, npz, monkeypatch
):
    def refuse(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(pretrained, "open_weights", pytest.fail)
    with pytest.raises(OSError, match=f"^{here} cannot be written: No space"):
        run("convert", npz, "out.keras")


def test_folder_of_the_target_should_exist(run, here, npz):
    with pytest.raises(
        FileNotFoundError, match="no folder new for new/out.keras"
    ):
        run("convert", npz, "new/out.keras")
    assert os.listdir() == []


@pytest.mark.parametrize(
    "name,flags,text",
    [
        ("a.npz", [], "a.npz cannot be read as a NumPy archive"),
        ("a.onnx", [], "The weights file must end with one of .*a.onnx"),
        ("missing.npz", [], "No such file"),
        ("other.keras", [], "must fit one of the networks 1."),
        ("nan.npz", [], "'conv10' expects finite weights"),
        ("small.npz", ["--config=1.1"], "'conv1' expects weights of shapes"),
        ("small.npz", ["--normalization=vgg"], "--normalization must be"),
    ],
)
def test_source_that_cannot_be_converted_leaves_the_target(
    name, flags, text, run, here, npz
):
    for damaged in ("a.npz", "a.onnx"):
        (here / damaged).write_bytes(b"no weights")
    keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="conv1")]
    ).save("other.keras")
    shutil.copy(npz, "small.npz")
    write_nan(shutil.copy(npz, "nan.npz"))
    (here / "out.keras").write_text("earlier")
    before = sorted(os.listdir())
    with pytest.raises((ValueError, OSError), match=text):
        run("convert", name, "out.keras", "--overwrite", *flags)
    assert sorted(os.listdir()) == before
    assert (here / "out.keras").read_text() == "earlier"


@pytest.mark.parametrize("change", ["value", "layer"])
def test_file_that_does_not_hold_the_weights_is_not_kept(
    change, run, here, npz, monkeypatch
):
    read = readers.read

    def damaged(path):
        arrays = read(path)
        if "out" in str(path):
            if change == "layer":
                del arrays["fire5_expand3x3"]
            else:
                arrays["fire5_expand3x3"][1][3] += 1
        return arrays

    monkeypatch.setattr(readers, "read", damaged)
    with pytest.raises(
        RuntimeError, match="out.weights.h5 must hold.*'fire5_expand3x3'"
    ):
        run("convert", npz, "out.weights.h5")
    assert os.listdir() == []


def test_full_disk_leaves_nothing(run, here, npz, monkeypatch):
    def save(model, folder, **options):
        folder.mkdir()
        (folder / "config.json").write_text("half")
        raise OSError("no space left")

    monkeypatch.setattr(keras.Model, "save", save)
    with pytest.raises(OSError, match="no space left"):
        run("convert", npz, "out.keras")
    assert os.listdir() == []


def write_nan(path):
    with np.load(path) as file:
        arrays = dict(file)
    arrays["conv10/bias"][3] = np.nan
    np.savez(path, **arrays)


def verified(out):
    """`{path: {check: result}}` of what the command printed."""
    results, checks = {}, {}
    for line in out.splitlines():
        if line.startswith("  "):
            check, result = re.split(" +", line.strip(), maxsplit=1)
            checks[check] = result
        else:
            checks = {}
            results[line] = checks
    return results


def test_public_file_is_verified(run, files):
    status, out = run("verify", files / NET)
    assert status == 0
    assert verified(out) == {
        str(files / NET): {
            "size": "675,763 bytes",
            "digest": "that of 'imagenet_deep_compression', 1.0",
            "architecture": "1.0, 1,000 classes, 1,248,424 parameters",
            "kernels": "finite, 415,921 of 1,244,448 weights are not zero",
        }
    }


@pytest.mark.parametrize(
    "name,digest,network",
    [
        (
            NO_TOP,
            "that of 'imagenet', 1.1",
            "1.1, without the classifier, 722,496 parameters",
        ),
        (
            "imagenet_deep_compression",
            "that of 'imagenet_deep_compression', 1.0",
            "1.0, 1,000 classes, 1,248,424 parameters",
        ),
        (
            "small.npz",
            "not that of any pretrained weights",
            "1.0, 7 classes, 739,015 parameters",
        ),
    ],
)
def test_weights_are_verified(
    name, digest, network, run, here, files, npz, mirror
):
    shutil.copy(npz, here)
    status, out = run("verify", files / name if name == NO_TOP else name)
    (checks,) = verified(out).values()
    assert status == 0
    assert checks["digest"] == digest
    assert checks["architecture"] == network
    assert checks["kernels"].startswith("finite, ")


@pytest.mark.parametrize(
    "variant,parameters",
    [("1.1", "1,235,496"), ("complex_bypass", "1,589,672")],
)
def test_network_is_told_by_its_weights(variant, parameters, run, here):
    model = SqueezeNet(weights=None, config=variant, input_shape=SHAPE)
    model.save_weights("a.weights.h5")
    _, out = run("verify", "a.weights.h5")
    (checks,) = verified(out).values()
    assert checks["architecture"] == (
        f"{variant}, 1,000 classes, {parameters} parameters"
    )


def test_file_of_a_published_name_with_other_bytes_fails(run, here, files):
    content = bytearray((files / NET).read_bytes())
    content[-1] ^= 1
    (here / NET).write_bytes(content)
    status, out = run("verify", NET)
    assert status == 1
    (checks,) = verified(out).values()
    assert list(checks) == ["size", "FAILED"]
    assert re.fullmatch(
        "a file of this name must have the digest sha256 e4ab6960[0-9a-f]+. "
        "Received: sha256 [0-9a-f]{64}",
        checks["FAILED"],
    )


@pytest.mark.parametrize(
    "name,text",
    [
        ("a.npz", "a.npz cannot be read as a NumPy archive"),
        ("a.txt", "The weights file must end with one of"),
        ("missing.npz", "No such file"),
        ("foreign.npz", "one of the networks"),
        ("nan.npz", "the weights must be finite. Some are not."),
    ],
)
def test_what_is_wrong_with_a_file_is_told(name, text, run, here, npz):
    for damaged in ("a.npz", "a.txt"):
        (here / damaged).write_bytes(b"no weights")
    ones = np.ones((3, 3))
    np.savez("foreign", **{"conv1/kernel": ones, "conv1/bias": ones[0]})
    write_nan(shutil.copy(npz, "nan.npz"))
    status, out = run("verify", name)
    assert status == 1
    assert text in verified(out)[name]["FAILED"]


def test_every_file_is_verified_whatever_the_others_are(
    run, here, files, npz, mirror
):
    arguments = ["missing.npz", str(npz), "imagenet", str(files / NET)]
    status, out = run("verify", *arguments)
    assert status == 1
    results = verified(out)
    assert list(results) == arguments
    failed = [path for path in arguments if "FAILED" in results[path]]
    assert failed == ["missing.npz", "imagenet"]
    assert "squeezenet_v1.1.caffemodel" in results["imagenet"]["FAILED"]


def test_paths_are_printed_as_they_are(run, here, npz):
    name = os.fsdecode(b"[red] \xff.npz")
    os.rename(npz, name)
    status, out = run("verify", name)
    assert (status, out.splitlines()[0]) == (0, r"[red] \udcff.npz")
    _, out = run("convert", name, "[b] out.keras")
    assert out.startswith(r"[red] \udcff.npz: 1.0, 7 classes")
    assert out.endswith("Written to [b] out.keras\n")
    status, out = run("verify", os.fsdecode(b"\xff.npz"))
    assert status == 1


def test_long_lines_are_not_broken(run, here, npz):
    folder = here / ("x" * 100)
    folder.mkdir()
    path = folder / "a.npz"
    os.rename(npz, path)
    _, out = run("convert", path, folder / "out.keras")
    assert len(out.splitlines()) == 2
    assert out.endswith(f"Written to {folder / 'out.keras'}\n")


def test_converted_bypass_keeps_its_outputs(run, here, npz):
    run("convert", npz, "out.weights.h5", "--config=simple_bypass")
    arguments = {"classes": 7, "input_shape": SHAPE}
    bypassed = SqueezeNetSimpleBypass(weights=str(npz), **arguments)
    assert_same_outputs(
        SqueezeNetSimpleBypass(weights="out.weights.h5", **arguments), bypassed
    )
