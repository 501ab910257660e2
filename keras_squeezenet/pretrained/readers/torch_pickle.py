"""Reader of the files of `torch.save`, without PyTorch and without `pickle`.

Both formats are read: the zip archive of PyTorch 1.6 and later, and the older
series of pickles. A pickle is a program in a small language that can call any
function. The interpreter here knows only the instructions in state dicts of
tensors, and calls only the functions in `GLOBALS`.
"""

import io
import math
import pickletools
import struct

import numpy as np

from keras_squeezenet.utils import archive

# The pickles of a magic number and a protocol number.
LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
# SqueezeNet's has 8 KiB. One byte of a program can take 64 bytes of memory.
MAX_PROGRAM_BYTES = 2**18
MAX_DIMENSIONS = 8
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


def read(content: bytes) -> dict[str, np.ndarray]:
    """Return `{key: array}` of a state dict, in the dtypes of the file."""
    if content.startswith(b"PK"):
        loaded = _read_zip(content)
    else:
        loaded = _read_legacy(content)
    if not isinstance(loaded, dict):
        raise ValueError(
            "it must be a state dict, as `torch.save(model.state_dict(), "
            f"path)` writes it. Received: {type(loaded).__name__}"
        )
    arrays = {
        key: tensor.array()
        for key, tensor in loaded.items()
        if isinstance(tensor, _Tensor)
    }
    archive.require_size(
        sum(array.nbytes for array in arrays.values()), "the tensors"
    )
    return arrays


def _read_zip(content):
    with archive.open_zip(content) as opened:
        names = opened.namelist()
        programs = [name for name in names if name.endswith("/data.pkl")]
        if len(programs) != 1:
            raise ValueError(
                "the archive must have one data.pkl. Received: "
                f"{', '.join(names[:5]) or 'nothing'}"
            )
        folder = programs[0].removesuffix("data.pkl")
        order = "<"
        if f"{folder}byteorder" in names:
            if opened.read(f"{folder}byteorder") == b"big":
                order = ">"
        storages: dict[str, _Storage] = {}

        def load(dtype, key):
            if key not in storages:
                data = opened.read(f"{folder}data/{key}")
                values = np.frombuffer(data, dtype.newbyteorder(order))
                storages[key] = _Storage(dtype, values)
            return storages[key]

        program = opened.read(programs[0])
        return _Interpreter(load).run(io.BytesIO(program))


def _read_legacy(content):
    if not content.startswith(LEGACY_START):
        raise ValueError("it does not start like the files of `torch.save`")
    file = io.BytesIO(content)
    file.seek(len(LEGACY_START))
    storages: dict[str, _Storage] = {}

    def load(dtype, key):
        return storages.setdefault(key, _Storage(dtype))

    # The first describes the machine. The numbers are always little endian.
    _, state_dict, keys = (_Interpreter(load).run(file) for _ in range(3))
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        dtype = storages[key].dtype.newbyteorder("<")
        # NumPy would take a count of -1 for all the rest.
        if count < 0:
            raise ValueError(f"storage {key} has a length of {count} numbers")
        storages[key].values = np.frombuffer(
            content, dtype, count, offset=file.tell()
        )
        file.seek(count * dtype.itemsize, io.SEEK_CUR)
    return state_dict


class _Storage:
    """An array of numbers, which follows the program in old files."""

    def __init__(self, dtype, values=()):
        self.dtype = dtype
        self.values = values


class _Tensor:
    """A view of a storage whose numbers may be read later."""

    def __init__(
        self,
        storage,
        offset,
        shape,
        strides,
        requires_grad=False,
        hooks=None,
        metadata=None,
    ):
        if not isinstance(storage, _Storage):
            raise ValueError("a tensor in it has no storage")
        if max(len(shape), len(strides)) > MAX_DIMENSIONS:
            raise ValueError(
                f"tensors must have at most {MAX_DIMENSIONS} dimensions. "
                f"Received: {len(shape)} sides, {len(strides)} strides"
            )
        numbers = (offset, *shape, *strides)
        if not all(isinstance(number, int) for number in numbers):
            raise ValueError("a tensor in it has a side that is not an integer")
        self.storage = storage
        self.offset = offset
        self.shape = tuple(shape)
        self.strides = tuple(strides)

    def array(self):
        values = self.storage.values
        last = self.offset + sum(
            (side - 1) * stride
            for side, stride in zip(self.shape, self.strides, strict=True)
        )
        size = math.prod(self.shape)
        negative = min(self.offset, *self.shape, *self.strides, 0) < 0
        if negative or (size and last >= len(values)):
            raise ValueError(
                f"a tensor of shape {self.shape} and strides {self.strides} "
                f"at {self.offset} does not fit its {len(values)} numbers"
            )
        # Strides of 0 would make a large array of a few bytes.
        if size > len(values):
            raise ValueError(
                f"a tensor of shape {self.shape} has more numbers than the "
                f"{len(values)} that are stored"
            )
        return np.lib.stride_tricks.as_strided(
            values[self.offset :],
            self.shape,
            [stride * values.itemsize for stride in self.strides],
            writeable=False,
        )


# Everything that a program may name, as `pickletools` writes it.
GLOBALS = {
    "torch FloatStorage": np.dtype("f4"),
    "torch DoubleStorage": np.dtype("f8"),
    "torch HalfStorage": np.dtype("f2"),
    "torch LongStorage": np.dtype("i8"),
    "torch IntStorage": np.dtype("i4"),
    "torch._utils _rebuild_tensor": _Tensor,
    "torch._utils _rebuild_tensor_v2": _Tensor,
    "torch._utils _rebuild_parameter": lambda tensor, *_: tensor,
    "collections OrderedDict": lambda: {},
}


class _Interpreter:
    """An interpreter of pickles that may call only what is in `GLOBALS`.

    Its objects take no more memory than the pickle: nothing is copied. Tuples
    become lists, so that nothing nested can be the key of a dict: to hash it
    could overflow the stack, or take forever.
    """

    def __init__(self, load_storage):
        self.load_storage = load_storage
        self.stack = []
        self.marks = []
        self.memo = {}

    def run(self, file):
        start = file.tell()
        for instruction, argument, position in pickletools.genops(file):
            if position - start > MAX_PROGRAM_BYTES:
                raise ValueError(
                    f"its pickle must have at most {MAX_PROGRAM_BYTES:,} bytes"
                )
            if instruction.name == "STOP":
                return self.stack.pop()
            self._step(instruction.name, argument)

    def _step(self, name, argument):
        stack = self.stack
        match name:
            case "PROTO":
                pass
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append(CONSTANTS[name])
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINUNICODE":
                stack.append(argument)
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST" | "EMPTY_TUPLE":
                stack.append([])
            case "MARK":
                self.marks.append(len(stack))
            case "TUPLE":
                stack.append(self._take_to_mark())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(self._take(int(name[-1])))
            case "APPEND":
                self._extend(self._take(1))
            case "APPENDS":
                self._extend(self._take_to_mark())
            case "SETITEM":
                self._update(self._take(2))
            case "SETITEMS":
                self._update(self._take_to_mark())
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "GLOBAL" if argument in GLOBALS:
                stack.append(GLOBALS[argument])
            case "GLOBAL":
                raise ValueError(
                    f"it names {argument.replace(' ', '.')}, which state dicts "
                    "of tensors do not. Save `model.state_dict()`, not the "
                    "model"
                )
            case "REDUCE":
                function, arguments = self._take(2)
                if not callable(function):
                    raise ValueError(
                        "its pickle calls an object that is not a function"
                    )
                stack.append(function(*arguments))
            case "BINPERSID":
                stack.append(self._storage(*stack.pop()))
            case "BUILD":
                # The attributes of the dict, which are module versions.
                stack.pop()
            case _:
                raise ValueError(
                    f"its pickle has the instruction {name}, which state "
                    "dicts of tensors do not need"
                )

    def _take(self, count):
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def _take_to_mark(self):
        mark = self.marks.pop()
        taken = self.stack[mark:]
        del self.stack[mark:]
        return taken

    def _extend(self, items):
        list.extend(self.stack[-1], items)

    def _update(self, items):
        dict.update(self.stack[-1], zip(items[::2], items[1::2], strict=True))

    def _storage(self, kind, dtype, key, location=None, count=None, view=None):
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise ValueError(
                "it refers to an object that is not a storage of numbers"
            )
        if not isinstance(key, str) or view is not None:
            raise ValueError("it refers to a storage in an unknown way")
        return self.load_storage(dtype, key)
