import io
import re
import struct
import sys
import time
import tracemalloc
import zipfile

import h5py
import keras
import numpy as np
import pytest
from weight_arrays import assert_same
from weight_arrays import weights_of

from keras_squeezenet.pretrained import readers
from keras_squeezenet.pretrained.readers import keras_h5
from keras_squeezenet.pretrained.readers import npz

CAFFE = "squeezenet_v1.1_caffe_fp32trunk_fp16conv10.npz"
NO_TOP = "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5"
KERNEL = np.arange(24, dtype="<f4").reshape(1, 2, 3, 4)
BIAS = np.arange(4, dtype="<f4")
SECRET = np.full((1, 2, 3, 4), 42, "<f4")


def saved(model, path):
    (model.save if path.suffix == ".keras" else model.save_weights)(path)
    return readers.read(path)


def encode(fill):
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        fill(opened)
    return file.getvalue()


def add_layer(file, kernel=KERNEL, name="conv1", group="layers/conv2d"):
    """Add a layer as Keras 3 does; return the group of its weights."""
    variables = file.create_group(f"{group}/vars")
    variables.attrs["name"] = name
    if kernel is not None:
        variables["0"] = kernel
    variables["1"] = BIAS
    return variables


def add_legacy_layer(file, kernel=KERNEL):
    """Add a layer as Keras 2 does; return the group of its weights."""
    file.attrs["layer_names"] = [b"conv1"]
    group = file.create_group("conv1")
    group.attrs["weight_names"] = [b"conv1/kernel:0", b"conv1/bias:0"]
    if kernel is not None:
        group["conv1/kernel:0"] = kernel
    group["conv1/bias:0"] = BIAS
    return group


def test_bfloat16_is_read_as_float32(tmp_path):
    keras.config.set_dtype_policy("bfloat16")
    dense = keras.layers.Dense(2, name="dense")
    model = keras.Sequential([keras.Input((2,)), dense])
    dense.set_weights([np.array([[1.5, -0.25], [1e-3, 3]]), np.array([0, 7])])
    kernel, bias = saved(model, tmp_path / "m.weights.h5")["dense"]
    assert kernel.dtype == bias.dtype == "float32"
    assert kernel.tolist() == [[1.5, -0.25], [0.00099945068359375, 3]]
    assert bias.tolist() == [0, 7]


def test_published_file_is_the_backbone_of_the_caffe_weights(shared_data):
    folder = shared_data / "weights"
    found = readers.read(folder / NO_TOP)
    expected = npz.read((folder / CAFFE).read_bytes())
    del expected["conv10"]
    assert list(found)[:3] == ["conv1", "fire2_squeeze1x1", "fire2_expand1x1"]
    assert sum(a.size for arrays in found.values() for a in arrays) == 722_496
    assert_same(found, expected)


every_suffix = pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])


@every_suffix
def test_saved_network_is_read_without_its_optimizer(
    suffix, tmp_path, randomize, make_model
):
    model = randomize(make_model(bypass="complex"))
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    assert_same(saved(model, tmp_path / f"model{suffix}"), weights_of(model))


@every_suffix
@pytest.mark.parametrize("nested", [True, False])
def test_layers_of_a_network_with_another_head_are_read(
    nested, suffix, tmp_path, randomize, make_model
):
    network = make_model()
    base = keras.Model(network.input, network.layers[-2].output)
    head = keras.layers.Dense(5, name="head")
    if nested:
        model = keras.Sequential(
            [keras.Input(base.input_shape[1:]), base, head]
        )
    else:
        model = keras.Model(base.input, head(base.output))
    randomize(model)
    expected = {**weights_of(base), "head": head.get_weights()}
    assert_same(saved(model, tmp_path / f"model{suffix}"), expected)


def test_networks_with_layers_of_the_same_name_are_refused(
    tmp_path, make_model
):
    networks = {name: make_model() for name in ("left", "right")}
    bases = [
        keras.Model(network.input, network.output, name=name)
        for name, network in networks.items()
    ]
    inputs = keras.Input(bases[0].input_shape[1:])
    outputs = keras.layers.Concatenate()([base(inputs) for base in bases])
    path = tmp_path / "twins.weights.h5"
    keras.Model(inputs, outputs).save_weights(path)
    with pytest.raises(ValueError, match="several layers called 'conv1'"):
        readers.read(path)


@pytest.mark.parametrize("whole", [False, True], ids=["weights", "model"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_files_of_keras_2_are_read(whole, tmp_path):
    tf_keras = pytest.importorskip("tf_keras")
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            layers.Conv2D(4, 3, name="conv1", input_shape=(8, 8, 3)),
            layers.ReLU(name="relu_conv1"),
            layers.Conv2D(2, 1, name="fire2_squeeze1x1"),
            layers.GlobalAveragePooling2D(name="pool10"),
        ]
    )
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    path = str(tmp_path / "model.h5")
    if whole:
        model.compile("adam", "mse")
        model.fit(np.ones((2, 8, 8, 3)), np.ones((2, 2)), verbose=0)
        model.save(path)
    else:
        model.save_weights(path)
    found = readers.read(path)
    assert list(found) == ["conv1", "fire2_squeeze1x1"]
    assert_same(found, weights_of(model))


@pytest.mark.parametrize("add", [add_layer, add_legacy_layer])
@pytest.mark.parametrize("dtype", ["<f2", "<f4"])
def test_layers_are_read_as_h5py_writes_them(dtype, add):
    content = encode(lambda file: add(file, KERNEL.astype(dtype)))
    assert_same(keras_h5.read(content), {"conv1": (KERNEL, BIAS)})


def test_slashes_in_names_of_keras_1_are_underscores():
    def fill(file):
        file.attrs["layer_names"] = [b"fire2/squeeze1x1", b"fire2/concat"]
        group = file.create_group("fire2/squeeze1x1")
        group.attrs["weight_names"] = [b"W", b"b"]
        group["W"], group["b"] = KERNEL, BIAS
        file.create_group("fire2/concat").attrs["weight_names"] = []

    found = keras_h5.read(encode(fill))
    assert_same(found, {"fire2_squeeze1x1": (KERNEL, BIAS)})


def link_to_another_file(group, name, path):
    group[name] = h5py.ExternalLink(path / "secret.h5", "kernel")


def store_in_another_file(group, name, path):
    group.create_dataset(
        name, SECRET.shape, "<f4", external=[(path / "raw", 0, SECRET.nbytes)]
    )


def compose_of_another_file(group, name, path):
    layout = h5py.VirtualLayout(SECRET.shape, "<f4")
    layout[:] = h5py.VirtualSource(
        path / "secret.h5", "kernel", SECRET.shape, "<f4"
    )
    group.create_virtual_dataset(name, layout)


@pytest.mark.parametrize(
    "place",
    [
        link_to_another_file,
        store_in_another_file,
        compose_of_another_file,
    ],
)
@pytest.mark.parametrize(
    "add, name", [(add_layer, "0"), (add_legacy_layer, "conv1/kernel:0")]
)
def test_nothing_is_read_from_elsewhere(
    place, add, name, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["kernel"] = SECRET
    (tmp_path / "raw").write_bytes(SECRET.tobytes())
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        place(add(file, kernel=None), name, tmp_path)
    # HDF5's own library follows them all.
    with h5py.File(path) as file:
        group = file["conv1" if add is add_legacy_layer else "layers/conv2d"]
        group = group if add is add_legacy_layer else group["vars"]
        np.testing.assert_array_equal(group[name][()], SECRET)
    opened = []
    sys.addaudithook(
        lambda event, arguments: (
            opened.append(str(arguments[0])) if event == "open" else None
        )
    )
    with pytest.raises(ValueError, match="cannot be read as"):
        readers.read(path)
    assert opened == [str(path)]


def test_compressed_array_is_refused_before_it_is_unpacked():
    def fill(file):
        variables = add_layer(file, kernel=None)
        # A gigabyte, of which one piece of 256 KiB is in the file.
        variables.create_dataset(
            "0", (2**14, 2**14), "<f4", chunks=(2**8, 2**8), compression=9
        )
        variables["0"][0, 0] = 1

    content = encode(fill)
    assert len(content) < 2**16
    message = "layers/conv2d/vars/0 must be one piece of the file"
    with pytest.raises(ValueError, match=message):
        keras_h5.read(content)


def test_arrays_that_share_their_bytes_are_refused_above_the_limit():
    def fill(file):
        variables = add_layer(file, np.zeros(2**20, "<f4"))
        for index in range(2, 20):
            variables[str(index)] = variables["0"]

    message = "the data sets must have at most 67,108,864 bytes"
    with pytest.raises(ValueError, match=message):
        keras_h5.read(encode(fill))


@pytest.mark.parametrize("add", [add_layer, add_legacy_layer])
def test_integers_are_refused(add):
    content = encode(lambda file: add(file, KERNEL.astype("int32")))
    message = r"(0|kernel:0) must hold floats\. Received: int32"
    with pytest.raises(ValueError, match=message):
        keras_h5.read(content)


def test_layer_without_its_name_is_refused():
    def fill(file):
        del add_layer(file).attrs["name"]

    message = (
        "layers/conv2d/vars must have the attribute name, as Keras 2 and "
        "Keras 3.6 and later write it"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        keras_h5.read(encode(fill))


@pytest.mark.parametrize(
    "paths, found",
    [([], "nothing"), (["kernel", "optimizer/vars/0"], "kernel, optimizer, ")],
)
def test_file_without_layers_is_refused(paths, found):
    def fill(file):
        for path in paths:
            file[path] = KERNEL

    message = (
        "it must have the weights of layers, as Keras writes them. "
        f"Received: {found}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        keras_h5.read(encode(fill))


def test_weights_that_are_named_and_missing_are_refused():
    def fill(file):
        add_legacy_layer(file, kernel=None)

    message = "conv1/conv1/kernel:0 is missing"
    with pytest.raises(ValueError, match=re.escape(message)):
        keras_h5.read(encode(fill))


@pytest.mark.parametrize(
    "names, found",
    [
        ([], "nothing"),
        (["config.json", "metadata.json"], "config.json, metadata.json"),
    ],
)
def test_archive_without_weights_is_refused(names, found):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for name in names:
            opened.writestr(name, "{}")
    message = f"the archive must have model.weights.h5. Received: {found}"
    with pytest.raises(ValueError, match=re.escape(message)):
        keras_h5.read_archive(file.getvalue())


# Files on which HDF5 1.14.6 loops, crashes, or allocates gigabytes.
def heap_object_of_no_length(content):
    start = content.index(b"GCOL") + 16
    return content[:start] + bytes(32) + content[start + 32 :]


def string_of_four_gigabytes(content):
    # Its length is before the address of the heap that it is in.
    heap = struct.pack("<Q", content.index(b"GCOL"))
    position = content.index(heap) - 4
    return content[:position] + b"\xff\xff\xff\xff" + content[position + 4 :]


def string_of_no_known_kind(content):
    position = content.index(b"name\0\0\0\0\x19") + 9
    return content[:position] + b"\xff\xff" + content[position + 2 :]


def heap_without_end(content):
    position = content.index(b"GCOL") + 8
    return content[:position] + b"\xff" * 8 + content[position + 8 :]


def header_that_continues_with_itself(content):
    root = struct.unpack_from("<Q", content, 64)[0]
    size = struct.unpack_from("<I", content, root + 8)[0]
    damaged = bytearray(content)
    struct.pack_into("<H", damaged, root + 2, 2**16 - 1)
    struct.pack_into("<HH4xQQ", damaged, root + 16, 16, 16, root + 16, size)
    return bytes(damaged)


def tree_that_is_its_own_branch(content):
    tree = content.index(b"TREE")
    damaged = bytearray(content)
    struct.pack_into("<Q", damaged, tree + 32, tree)
    return bytes(damaged)


@pytest.mark.parametrize(
    "damage",
    [
        heap_object_of_no_length,
        string_of_four_gigabytes,
        string_of_no_known_kind,
        heap_without_end,
        header_that_continues_with_itself,
        tree_that_is_its_own_branch,
    ],
)
def test_damage_is_survived_that_hdf5_does_not_stand(damage, tmp_path):
    content = encode(add_layer)
    damaged = damage(content)
    assert damaged != content
    assert_is_read_or_refused(damaged, tmp_path)


def link_in_a_circle(file):
    variables = add_layer(file)
    variables.create_group("inner")["again"] = file["layers"]


def link_exponentially(file):
    add_layer(file)
    file.create_group("0")
    for index in range(30):
        group = file.create_group(f"{index + 1}")
        group["left"] = group["right"] = file[f"{index}"]


def link_to_itself(file):
    add_layer(file)
    file["again"] = h5py.SoftLink("/again")


def nest_deeply(file):
    add_layer(file)
    file.create_group("g/" * 1500)


@pytest.mark.parametrize(
    "fill", [link_in_a_circle, link_exponentially, link_to_itself, nest_deeply]
)
def test_labyrinths_are_left(fill, tmp_path):
    assert_is_read_or_refused(encode(fill), tmp_path)


def assert_is_read_or_refused(content, folder):
    path = folder / "damaged.h5"
    path.write_bytes(content)
    start = time.process_time()
    tracemalloc.start()
    try:
        assert_same(readers.read(path), {"conv1": (KERNEL, BIAS)})
    except ValueError as error:
        assert str(error).startswith(f"{path} cannot be read as ")
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 50 * 2**20
    assert time.process_time() - start < 20
