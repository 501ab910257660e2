import contextlib
import copyreg
import io
import pickle
import re
import struct
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pytest

from keras_squeezenet.pretrained import readers
from keras_squeezenet.pretrained.readers import torch_pickle

FORMATS = ("zip", "legacy")
MIB = 2**20
START = (
    b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    b"\x80\x02M\xe9\x03."
)
PROTO = b"\x80\x02"
MARK = b"("
TUPLE = b"t"
REDUCE = b"R"
BUILD = b"b"
STOP = b"."
NONE = b"N"
EMPTY_DICT = b"}"
EMPTY_LIST = b"]"
EMPTY_TUPLE = b")"
TUPLE1 = b"\x85"
TUPLE2 = b"\x86"
BINPERSID = b"Q"
SETITEM = b"s"
SETITEMS = b"u"
APPENDS = b"e"


def text(string):
    return b"X" + struct.pack("<I", len(string)) + string.encode()


def integer(number):
    return b"\x8a\x09" + number.to_bytes(9, "little", signed=True)


def tuple_of(*items):
    return MARK + b"".join(items) + TUPLE


def dict_of(**items):
    pairs = (text(key) + value for key, value in items.items())
    return EMPTY_DICT + MARK + b"".join(pairs) + SETITEMS


def named(module, name):
    return f"c{module}\n{name}\n".encode()


def put(index):
    return b"q" + bytes([index])


def get(index):
    return b"h" + bytes([index])


def storage(key="0", kind="FloatStorage", *more):
    name = named("torch", kind)
    location = text("cpu")
    return (
        tuple_of(text("storage"), name, text(key), location, integer(6), *more)
        + BINPERSID
    )


def tensor(shape, strides, offset=0, stored=None):
    arguments = tuple_of(
        stored or storage(),
        integer(offset),
        tuple_of(*map(integer, shape)),
        tuple_of(*map(integer, strides)),
    )
    return named("torch._utils", "_rebuild_tensor_v2") + arguments + REDUCE


def state_dict(*tensors):
    items = {f"features.{i}.weight": each for i, each in enumerate(tensors)}
    return PROTO + dict_of(**items) + STOP


def zip_content(program, storages, byteorder=b"little", **compression):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **compression) as opened:
        opened.writestr("squeezenet/data.pkl", program)
        opened.writestr("squeezenet/byteorder", byteorder)
        for key, values in storages.items():
            opened.writestr(f"squeezenet/data/{key}", values.tobytes())
    return file.getvalue()


def legacy_content(program, storages, counts=None):
    machine = PROTO + dict_of(little_endian=b"\x88") + STOP
    keys = b"".join(map(text, storages))
    content = START + machine + program
    content += PROTO + EMPTY_LIST + MARK + keys + APPENDS + STOP
    for key, values in storages.items():
        count = (counts or {}).get(key, len(values))
        content += struct.pack("<q", count) + values.tobytes()
    return content


def content_of(format, program, storages=None):
    write = {"zip": zip_content, "legacy": legacy_content}[format]
    return write(program, storages or {"0": np.arange(6, dtype="<f4")})


def assert_refused(content, tmp_path, reason="", peak=None):
    """Assert that content is rejected, below a peak of memory if given."""
    # Also for keys that torchvision's network does not need.
    with pytest.raises(Exception) as raised:  # noqa: B017
        torch_pickle.read(content)
    assert reason in str(raised.value)
    assert_refused_as_network(content, tmp_path, reason)
    if peak:
        assert peak_of_reading(content) < peak


def assert_refused_as_network(content, tmp_path, reason):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    message = f"{path} cannot be read as a PyTorch state dict: "
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        readers.read(path)
    assert reason in str(raised.value)


def peak_of_reading(content):
    tracemalloc.start()
    try:
        with contextlib.suppress(Exception):
            torch_pickle.read(content)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def assert_bits(found, expected):
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes()


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(params=FORMATS)
def save(request, torch, tmp_path):
    """Return a function that reads what PyTorch writes."""

    def save(saved):
        path = tmp_path / "saved.pth"
        new = request.param == "zip"
        torch.save(saved, path, _use_new_zipfile_serialization=new)
        assert path.read_bytes().startswith(b"PK") == new
        return path.read_bytes()

    return save


BYTES = np.random.default_rng(0).integers(0, 256, 8 * 24, "uint8")
ARRAYS = {
    **{
        dtype: BYTES.view(dtype)[:24].reshape(2, 3, 4)
        for dtype in ("float32", "float16", "float64", "int32")
    },
    "special": np.array([np.nan, -np.nan, np.inf, -0.0, 1e-45], "float32"),
    "scalar": np.array(2.5, "float32"),
    "empty": np.zeros((0, 3), "float32"),
}


def test_tensors_are_read_bit_by_bit(torch, save):
    tensors = {name: torch.tensor(array) for name, array in ARRAYS.items()}
    found = torch_pickle.read(save(tensors))
    assert list(found) == list(ARRAYS)
    for name, expected in ARRAYS.items():
        assert_bits(found[name], expected)


def test_state_dict_of_a_module_is_read(torch, save):
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 5), torch.nn.BatchNorm2d(4)
    )
    saved = module.state_dict()
    assert saved._metadata
    found = torch_pickle.read(save(saved))
    assert list(found) == list(saved)
    for key, expected in saved.items():
        assert_bits(found[key], expected.numpy())
    assert found["1.num_batches_tracked"].dtype == "int64"
    assert found["1.num_batches_tracked"].shape == ()


def test_parameters_are_read_as_tensors(torch, save):
    expected = np.arange(6, dtype="float32").reshape(2, 3)
    parameter = torch.nn.Parameter(torch.tensor(expected))
    frozen = torch.nn.Parameter(torch.tensor(expected), requires_grad=False)
    found = torch_pickle.read(save({"trained": parameter, "frozen": frozen}))
    assert_bits(found["trained"], expected)
    assert_bits(found["frozen"], expected)


def test_tensors_that_share_a_storage_are_told_apart(torch, save):
    numbers = torch.arange(24.0)
    found = torch_pickle.read(
        save({"all": numbers, "end": numbers[18:], "row": numbers[4:8]})
    )
    np.testing.assert_array_equal(found["all"], np.arange(24))
    np.testing.assert_array_equal(found["end"], [18, 19, 20, 21, 22, 23])
    np.testing.assert_array_equal(found["row"], [4, 5, 6, 7])


def test_order_in_memory_does_not_matter(torch, save):
    numbers = torch.arange(120.0).reshape(2, 3, 4, 5)
    laid_out = {
        "contiguous": numbers,
        "channels_last": numbers.to(memory_format=torch.channels_last),
        "transposed": numbers.permute(3, 0, 2, 1),
        "every other": numbers[:, ::2, 1:, ::3],
    }
    found = torch_pickle.read(save(laid_out))
    for key, expected in laid_out.items():
        assert_bits(found[key], expected.contiguous().numpy())
    assert laid_out["channels_last"].stride() == (60, 1, 15, 3)


def test_other_values_than_tensors_are_left_out(torch, save):
    saved = {"weight": torch.ones(2), "epoch": 90, "name": "a", "lr": [1, 2]}
    assert list(torch_pickle.read(save(saved))) == ["weight"]


def test_dtype_that_numpy_has_not_is_named(torch, save, tmp_path):
    content = save({"weight": torch.ones(2, dtype=torch.bfloat16)})
    assert_refused(content, tmp_path, "it names torch.BFloat16Storage, which")


def test_expanded_tensor_is_refused(torch, save, tmp_path):
    content = save({"weight": torch.ones(1, 1).expand(100, 100)})
    reason = "shape (100, 100) has more numbers than the 1 that are stored"
    assert_refused(content, tmp_path, reason)


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_whole_module_is_refused_with_advice(torch, save, tmp_path):
    content = save(torch.nn.Conv2d(3, 4, 5))
    reason = (
        "it names torch.nn.modules.conv.Conv2d, which state dicts of tensors "
        "do not. Save `model.state_dict()`, not the model"
    )
    assert_refused(content, tmp_path, reason)


@pytest.mark.parametrize("format", FORMATS)
def test_file_made_by_hand_is_read(format):
    found = torch_pickle.read(
        content_of(format, state_dict(tensor([2, 3], [1, 2])))
    )
    np.testing.assert_array_equal(
        found["features.0.weight"], [[0, 2, 4], [1, 3, 5]]
    )


def test_archive_of_a_machine_of_the_other_byte_order_is_read():
    program = state_dict(tensor([3], [1]))
    storages = {"0": np.array([1, 2, 3], ">f4")}
    found = torch_pickle.read(zip_content(program, storages, byteorder=b"big"))
    np.testing.assert_array_equal(found["features.0.weight"], [1, 2, 3])


def test_legacy_file_is_little_endian_on_every_machine(torch):
    file = io.BytesIO()
    torch.save(
        {"weight": torch.arange(3.0)},
        file,
        _use_new_zipfile_serialization=False,
    )
    flag = b"little_endianq\x02"
    assert flag + b"\x88" in file.getvalue()
    content = file.getvalue().replace(flag + b"\x88", flag + b"\x89")
    expected = torch.load(io.BytesIO(content))["weight"]
    np.testing.assert_array_equal(expected, [0, 1, 2])
    found = torch_pickle.read(content)
    np.testing.assert_array_equal(found["weight"], [0, 1, 2])


# Each makes a folder when `pickle` runs it.
ATTACKS = {
    "os.mkdir": lambda path: call("os", "mkdir", path),
    "os.system": lambda path: call("os", "system", f"mkdir {path}"),
    "eval": lambda path: call("builtins", "eval", mkdir(path)),
    "exec": lambda path: call("builtins", "exec", mkdir(path)),
    "eval of Python 2": lambda path: call("__builtin__", "eval", mkdir(path)),
    "INST": lambda path: b"(V" + path.encode() + b"\nios\nmkdir\n",
    "OBJ": lambda path: MARK + named("os", "mkdir") + text(path) + b"o",
    "STACK_GLOBAL": lambda path: (
        text("os") + text("mkdir") + b"\x93" + text(path) + TUPLE1 + REDUCE
    ),
    "EXT1": lambda path: b"\x82\x7b" + text(path) + TUPLE1 + REDUCE,
    "EXT4": lambda path: b"\x84\x7b\0\0\0" + text(path) + TUPLE1 + REDUCE,
}


def call(module, name, argument):
    return named(module, name) + text(argument) + TUPLE1 + REDUCE


def mkdir(path):
    return f"__import__('os').makedirs({path!r}, exist_ok=True)"


@pytest.fixture
def extension():
    copyreg.add_extension("os", "mkdir", 0x7B)
    yield
    copyreg.remove_extension("os", "mkdir", 0x7B)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_nothing_in_a_file_is_executed(attack, extension, tmp_path):
    made = tmp_path / "made"
    program = attack(str(made))
    pickle.loads(PROTO + program + STOP)
    assert made.is_dir(), "this must be an attack"
    made.rmdir()
    harmless = state_dict(tensor([6], [1]))
    whole = PROTO + program + STOP
    legacy = legacy_content(harmless, {"0": np.arange(6, dtype="<f4")})
    for content in (
        zip_content(state_dict(program), {}),
        zip_content(whole, {}),
        legacy_content(state_dict(program), {}),
        START + whole + harmless,
        legacy.replace(PROTO + EMPTY_LIST, PROTO + program, 1),
        whole,
    ):
        assert_refused(content, tmp_path)
        assert not made.exists()


@pytest.mark.parametrize(
    "name",
    [
        "torch load",
        "torch FloatStorage.__class__",
        "torch BoolStorage",
        "torch __builtins__",
        "torch serialization.os.system",
        "torch._utils _rebuild_tensor_v3",
        "torch._utils _rebuild_tensor_v2.__globals__",
        "collections namedtuple",
        "collections.OrderedDict fromkeys",
        "numpy.core.multiarray _reconstruct",
        "torchvision.models.squeezenet SqueezeNet",
        " ",
    ],
)
@pytest.mark.parametrize("format", FORMATS)
def test_other_names_are_refused(format, name, tmp_path):
    content = content_of(format, state_dict(named(*name.split(" "))))
    name = name.replace(" ", ".")
    reason = f"it names {name}, which state dicts of tensors do not"
    assert_refused(content, tmp_path, reason)


@pytest.mark.parametrize(
    "instruction",
    {
        "INT": b"I1\n",
        "BINFLOAT": b"G" + bytes(8),
        "BINBYTES": b"B" + bytes(4),
        "BYTEARRAY8": b"\x96" + bytes(8),
        "DUP": b"2",
        "EMPTY_SET": b"\x8f",
        "FROZENSET": b"(\x91",
        "NEWOBJ": b"))\x81",
        "NEWOBJ_EX": b"))}\x92",
        "PERSID": b"P1\n",
        "MEMOIZE": b"N\x94",
        "NEXT_BUFFER": b"\x97",
    }.items(),
    ids=lambda item: item[0],
)
def test_other_instructions_are_refused(instruction, tmp_path):
    name, program = instruction
    content = zip_content(state_dict(program), {})
    reason = (
        f"its pickle has the instruction {name}, which state dicts of tensors "
        "do not need"
    )
    assert_refused(content, tmp_path, reason)


@pytest.mark.parametrize("name", torch_pickle.GLOBALS)
def test_attributes_that_a_file_sets_change_nothing(name):
    hook = named("torch._utils", "_rebuild_parameter")
    attributes = dict_of(
        array=hook, values=hook, read=hook, __call__=hook, __init__=hook
    )
    for state in (attributes, NONE + attributes + TUPLE2):
        program = state_dict(named(*name.split()) + state + BUILD)
        assert torch_pickle.read(content_of("zip", program)) == {}
    test_file_made_by_hand_is_read("zip")


def test_attributes_of_a_tensor_are_not_the_files(tmp_path):
    attributes = dict_of(
        shape=tuple_of(integer(10**6)), offset=integer(-(10**6))
    )
    program = state_dict(tensor([6], [1]) + attributes + BUILD)
    found = torch_pickle.read(content_of("zip", program))
    np.testing.assert_array_equal(found["features.0.weight"], np.arange(6))


def test_memory_of_the_process_is_not_read(tmp_path):
    """NumPy treats objects that hold an address as arrays."""
    interface = dict_of(
        data=tuple_of(integer(id(MARK)), b"\x88"),
        shape=tuple_of(integer(8)),
        typestr=text("<f4"),
        version=integer(3),
    )
    attributes = dict_of(
        __array_interface__=interface, values=get(1), itemsize=integer(4)
    )
    hook = named("torch._utils", "_rebuild_parameter")
    forged = (
        named("collections", "OrderedDict")
        + (NONE + dict_of(__getitem__=hook) + TUPLE2 + BUILD)
        + (EMPTY_TUPLE + REDUCE + put(1))
        + (integer(0) + integer(0) + SETITEM)
        + (attributes + BUILD)
    )
    program = state_dict(tensor([8], [1], stored=forged))
    reason = "a tensor in it has no storage"
    assert_refused(content_of("zip", program), tmp_path, reason)


@pytest.mark.parametrize(
    "shape, strides, offset",
    [
        ([7], [1], 0),
        ([6], [1], 1),
        ([2, 3], [4, 1], 0),
        ([1], [1], 6),
        ([1], [1], -1),
        ([2], [-1], 1),
        ([-2], [1], 0),
        ([-2, -3], [1, 1], 0),
        ([1], [1], 2**62),
        ([2], [2**62], 0),
        ([2**62], [1], 0),
        ([2**63, 2**63], [1, 1], 0),
    ],
)
@pytest.mark.parametrize("format", FORMATS)
def test_tensor_beyond_its_storage_is_refused(
    format, shape, strides, offset, tmp_path
):
    program = state_dict(tensor(shape, strides, offset))
    reason = (
        f"a tensor of shape {tuple(shape)} and strides {tuple(strides)} at "
        f"{offset} does not fit its 6 numbers"
    )
    assert_refused(content_of(format, program), tmp_path, reason)


@pytest.mark.parametrize(
    "shape, strides",
    [([10**9], [0]), ([10**5] * 4, [0] * 4), ([7, 1], [0, 1])],
)
def test_tensor_larger_than_its_storage_is_refused(shape, strides, tmp_path):
    program = state_dict(tensor(shape, strides))
    reason = "has more numbers than the 6 that are stored"
    assert_refused(content_of("zip", program), tmp_path, reason)


def test_empty_tensor_may_not_have_an_absurd_side(tmp_path):
    for side in (2**62, 2**70):
        program = state_dict(tensor([0, side], [1, 1]))
        assert_refused(content_of("zip", program), tmp_path)


ONE = integer(1)
MALFORMED_TENSORS = {
    "more strides": (storage(), ONE, tuple_of(ONE), tuple_of(ONE, ONE)),
    "text": (storage(), ONE, tuple_of(text("1")), tuple_of(ONE)),
    # Python would repeat it if it were multiplied by a number.
    "a list as stride": (
        storage(),
        integer(0),
        tuple_of(integer(2**26)),
        tuple_of(EMPTY_LIST + MARK + NONE + APPENDS),
    ),
    "no tuples": (storage(), ONE, ONE, ONE),
    "no storage": (EMPTY_DICT, ONE, EMPTY_TUPLE, EMPTY_TUPLE),
    "nine dimensions": (storage(), integer(0), *[tuple_of(*[ONE] * 9)] * 2),
    "too few": (storage(), integer(0)),
    "too many": (storage(), integer(0), *[EMPTY_TUPLE] * 6),
}


@pytest.mark.parametrize(
    "arguments", MALFORMED_TENSORS.values(), ids=MALFORMED_TENSORS
)
def test_malformed_tensor_is_refused(arguments, tmp_path):
    rebuild = named("torch._utils", "_rebuild_tensor_v2")
    program = state_dict(rebuild + tuple_of(*arguments) + REDUCE)
    assert_refused(content_of("zip", program), tmp_path, peak=MIB)


@pytest.mark.parametrize("format", FORMATS)
def test_many_tensors_of_one_storage_are_refused(format, tmp_path):
    side = MIB // 4
    program = state_dict(*[tensor([side], [1])] * 300)
    content = content_of(format, program, {"0": np.zeros(side, "<f4")})
    reason = (
        "the tensors must have at most 67,108,864 bytes. "
        "Received: 314,572,800 bytes"
    )
    assert_refused(content, tmp_path, reason)


FLOATS = named("torch", "FloatStorage")


@pytest.mark.parametrize(
    "stored",
    [
        storage("0", "FloatStorage", tuple_of(text("1"), ONE, integer(6))),
        tuple_of(text("module"), FLOATS, text("0")) + BINPERSID,
        tuple_of(text("storage"), text("f4"), text("0")) + BINPERSID,
        tuple_of(text("storage"), FLOATS, integer(0)) + BINPERSID,
        text("storage") + BINPERSID,
        storage("1"),
        storage("../../secret"),
    ],
)
@pytest.mark.parametrize("format", FORMATS)
def test_storage_in_an_unknown_form_is_refused(format, stored, tmp_path):
    program = state_dict(tensor([6], [1], stored=stored))
    assert_refused(content_of(format, program), tmp_path)


def test_index_of_a_remembered_object_takes_no_memory(tmp_path):
    program = b"r" + struct.pack("<I", 2**32 - 1)
    content = zip_content(PROTO + NONE + program + STOP, {})
    assert_refused(content, tmp_path, "Received: NoneType", peak=MIB)


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(b"X\xff\xff\xff\xff", id="BINUNICODE"),
        pytest.param(b"\x8d" + b"\xff" * 8, id="BINUNICODE8"),
        pytest.param(b"\x8e" + b"\xff" * 8, id="BINBYTES8"),
        pytest.param(b"\x8a\xff", id="LONG1"),
        pytest.param(b"\x8b\xff\xff\xff\x7f", id="LONG4"),
        pytest.param(b"\x95" + b"\xff" * 8, id="FRAME"),
    ],
)
@pytest.mark.parametrize("format", FORMATS)
def test_absurd_length_takes_no_memory(format, program, tmp_path):
    content = content_of(format, state_dict(program))
    assert_refused(content, tmp_path, peak=MIB)


@pytest.mark.parametrize("filler", [EMPTY_DICT, MARK, NONE])
def test_long_program_is_refused_before_it_fills_the_memory(filler, tmp_path):
    content = zip_content(PROTO + filler * MIB + STOP, {})
    reason = "its pickle must have at most 262,144 bytes"
    assert_refused(content, tmp_path, reason, peak=40 * MIB)


def test_copies_of_one_object_are_not_made(tmp_path):
    """A dict of 4,000 items that 40,000 calls would copy."""
    pairs = b"".join(integer(i) + NONE for i in range(4_000))
    table = EMPTY_DICT + put(0) + MARK + pairs + SETITEMS
    ordered = named("collections", "OrderedDict") + put(1)
    copies = (get(1) + get(0) + TUPLE1 + REDUCE) * 40_000
    content = zip_content(PROTO + table + ordered + copies + STOP, {})
    assert_refused(content, tmp_path, peak=8 * MIB)


def nested(depth):
    return EMPTY_TUPLE + TUPLE1 * depth


def doubled(depth):
    """A tuple of the same tuple twice, and so on: 2**depth parts."""
    steps = (put(i) + get(i) + get(i) + TUPLE2 for i in range(depth))
    return EMPTY_TUPLE + b"".join(steps)


@pytest.mark.parametrize("key", [nested(50_000), doubled(100)])
def test_nested_tuple_is_refused_as_a_key(key, tmp_path):
    """Hashing it would never end, or overflow the stack."""
    of_dict = EMPTY_DICT + MARK + key + NONE + SETITEMS
    of_storage = tuple_of(text("storage"), FLOATS, key) + BINPERSID
    for program in (of_dict, of_storage):
        content = zip_content(PROTO + program + STOP, {})
        assert_refused(content, tmp_path)
    keys = PROTO + EMPTY_LIST + MARK + key + APPENDS + STOP
    legacy = legacy_content(state_dict(), {})
    content = legacy.replace(PROTO + EMPTY_LIST + MARK + APPENDS + STOP, keys)
    assert_refused(content, tmp_path)


@pytest.mark.parametrize("nesting", [nested(50_000), doubled(100)])
def test_nested_tuples_are_neither_compared_nor_printed(nesting, tmp_path):
    other = nesting.replace(EMPTY_TUPLE, EMPTY_TUPLE + TUPLE1, 1)
    rebuild = named("torch._utils", "_rebuild_tensor_v2")
    for arguments in (
        tuple_of(storage(), nesting, tuple_of(other), tuple_of(nesting)),
        tuple_of(nesting, *[integer(1)] * 3),
        nesting,
    ):
        content = content_of("zip", state_dict(rebuild + arguments + REDUCE))
        assert_refused(content, tmp_path)
    stored = tuple_of(nesting, nesting, text("0")) + BINPERSID
    content = content_of("zip", state_dict(tensor([6], [1], stored=stored)))
    assert_refused(content, tmp_path)


def test_archive_without_a_state_dict_says_what_it_has(tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("conv1/kernel.npy", b"")
    reason = "the archive must have one data.pkl. Received: conv1/kernel.npy"
    assert_refused(file.getvalue(), tmp_path, reason)


@pytest.mark.parametrize(
    "storages, reason",
    [
        ({"1": np.zeros(6)}, "squeezenet/data/0"),
        # Not a whole number of float32.
        ({"0": np.zeros(7, "u1")}, "multiple of element size"),
    ],
)
def test_archive_without_a_whole_storage_is_refused(storages, reason, tmp_path):
    content = zip_content(state_dict(tensor([6], [1])), storages)
    assert_refused(content, tmp_path, reason)


@pytest.mark.parametrize("count", [-1, -6, -(2**63), 7, 2**40, 2**62])
def test_legacy_storage_of_an_absurd_count_is_refused(count, tmp_path):
    content = legacy_content(
        state_dict(tensor([6], [1])),
        {"0": np.zeros(6, "<f4")},
        counts={"0": count},
    )
    assert_refused(content, tmp_path, peak=MIB)


def test_legacy_storage_that_is_not_listed_is_refused(tmp_path):
    content = legacy_content(state_dict(tensor([6], [1])), {})
    assert_refused(content, tmp_path, "does not fit its 0 numbers")


def test_file_of_the_first_releases_is_refused(tmp_path):
    """PyTorch before 0.1.10 wrote tar archives."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as opened:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            opened.addfile(tarfile.TarInfo(name))
    reason = "it does not start like the files of `torch.save`"
    assert_refused(file.getvalue(), tmp_path, reason)


def test_state_dict_within_a_checkpoint_is_not_searched_for(tmp_path):
    inner = dict_of(**{"features.0.weight": tensor([6], [1])})
    program = PROTO + dict_of(state_dict=inner) + STOP
    reason = "such as features.0.weight. Received: none"
    content = content_of("zip", program)
    assert_refused_as_network(content, tmp_path, reason)
