"""The decoder of .sqz files in JavaScript, bit for bit as that in Python."""

import functools
import hashlib
import json
import pathlib
import struct

import numpy as np
import pytest
import web_modules

from keras_squeezenet.codec import encodings
from keras_squeezenet.codec import header_text
from keras_squeezenet.codec import sqz
from keras_squeezenet.codec import streams
from keras_squeezenet.data import image_ops
from keras_squeezenet.pretrained.readers import deep_compression

WEIGHTS = pathlib.Path(__file__).parents[2] / "weights"
VERSION_1 = pathlib.Path(__file__).parents[1] / "codec" / "version_1.sqz"
DECODE = """
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { loadSqz } from "./sqz/sqz.js";

const results = [];
for (const path of process.argv.slice(1)) {
  try {
    const { header, arrays } = await loadSqz(readFileSync(path));
    results.push({ header, arrays: [...arrays].map(([name, array]) => {
      const { buffer, byteOffset, byteLength } = array.values;
      const bytes = new Uint8Array(buffer, byteOffset, byteLength);
      const digest = createHash("sha256").update(bytes).digest("hex");
      return [name, array.shape, digest];
    })});
  } catch (error) {
    results.push({ error: error.message });
  }
}
const { rss } = process.memoryUsage();
console.log(JSON.stringify({ results, rss }));
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    return web_modules.copy_to(tmp_path_factory.mktemp("web"))


@pytest.fixture
def decode(modules, tmp_path):
    """Returns a function that decodes several contents in JavaScript."""

    def decode(contents):
        paths = []
        for number, content in enumerate(contents):
            paths.append(str(tmp_path / f"{number}.sqz"))
            pathlib.Path(paths[-1]).write_bytes(content)
        return web_modules.run(modules, DECODE, *paths)

    return decode


def in_python(content):
    """Return what `decode` is to return, for one content."""
    header, arrays = sqz.load(content)
    found = []
    for name, array in arrays.items():
        values = array.to_array().astype("<f4")
        digest = hashlib.sha256(values.tobytes()).hexdigest()
        found.append([name, list(values.shape), digest])
    return {"header": header, "arrays": found}


def every_encoding():
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(3, 3, 5, 7)).astype("float32")
    extremes = np.array(
        [0, -0.0, 1e-45, -3.4e38, 3.4e38, np.inf, -np.inf, np.nan], "float32"
    )
    skewed = np.minimum(rng.geometric(0.4, 30_000), 4095) - 1
    return {
        "plain/kernel": encodings.PlainArray(normal),
        "extremes/bias": encodings.PlainArray(extremes),
        "shared/kernel": encodings.CodebookArray(
            rng.integers(0, 60, (1, 1, 40, 50)),
            np.sort(rng.normal(size=60)).astype("float32"),
        ),
        "stepped/kernel": encodings.UniformArray(
            rng.integers(-2048, 2048, (3, 3, 8, 8)), float(np.float32(0.0123))
        ),
        "skewed/kernel": encodings.UniformArray(
            skewed - 1, float(np.float32(1e-3))
        ),
        "far/kernel": encodings.UniformArray(
            np.array([1_000_000, 1_000_001]), 0.5
        ),
        "sparse/bias": encodings.UniformArray(
            rng.laplace(-50, 200, 300).astype(int), 0.25
        ),
        "constant/kernel": encodings.UniformArray(np.full((4, 1000), -7), 0.25),
        "scalar/bias": encodings.PlainArray(np.array(0.1, "float32")),
        "empty/kernel": encodings.UniformArray(np.zeros((0, 3), "int64"), 1.0),
        "ünïcode/bias": encodings.PlainArray(normal[0, 0, 0]),
    }


def test_arrays_are_those_of_python_bit_for_bit(decode, monkeypatch):
    header = {"labels": ["é", "b"], "provenance": {}}
    contents = [
        sqz.dump({}, {}),
        VERSION_1.read_bytes(),
        VERSION_1.with_name("version_1_layers.sqz").read_bytes(),
        (WEIGHTS / "squeezenet_1.1_cifar10.sqz").read_bytes(),
    ]
    for lanes_log2 in (0, 3, 8, 14):
        encode = functools.partial(streams.encode, lanes_log2=lanes_log2)
        with monkeypatch.context() as patch:
            patch.setattr(streams, "encode", encode)
            contents.append(sqz.dump(header, every_encoding()))
    received = decode(contents)["results"]
    counts = [len(each["arrays"]) for each in received]
    assert counts == [0, 4, 16, 52, *4 * [11]]
    assert received == [in_python(content) for content in contents]


def test_imagenet_weights_are_those_of_python(decode, shared_data):
    path = shared_data / "weights" / "compressed_SqueezeNet.net"
    arrays = {
        f"{name}/{part}": encodings.lossless(array)
        for name, pair in deep_compression.read(path.read_bytes()).items()
        for part, array in zip(("kernel", "bias"), pair)
    }
    content = sqz.dump({}, arrays)
    (received,) = decode([content])["results"]
    assert received == in_python(content)


def reseal(body):
    """Return a file with a right checksum."""
    head = struct.pack("<8sB8s", sqz.MAGIC, 2, hashlib.sha256(body).digest())
    return head + body


def with_header(header, streams=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    packed = header_text.pack(text)
    return reseal(struct.pack("<I", len(packed)) + packed + streams)


def row(shape, form="plain", **fields):
    return {"name": "a/kernel", "form": form, "shape": shape, **fields}


WHOLE = sqz.dump({}, {"a/bias": encodings.PlainArray(np.ones(9, "float32"))})
DAMAGED = {
    "empty": (b"", "a .sqz file must begin with"),
    "of another format": (b"\x89PNG\r\n\x1a\n" * 9, "must begin with"),
    "cut in the head": (WHOLE[:20], "it is incomplete"),
    "cut in the streams": (WHOLE[:-1], "its checksum is wrong"),
    "a bit is wrong": (WHOLE[:40] + b"!" + WHOLE[41:], "checksum is wrong"),
    "of another version": (WHOLE[:8] + b"\3" + WHOLE[9:], "from 1 to 2. Rec"),
    "cut in the header": (reseal(WHOLE[17:24]), "damaged or cut off"),
    "no JSON": (with_header(b"{"), "JSON"),
    "no object": (with_header([1]), "an object with a list of arrays"),
    "no rows": (with_header({"arrays": [None]}), "a row of the header must"),
    "a text as a side": (with_header({"arrays": [row(["9"])]}), "a row of"),
    "a negative side": (with_header({"arrays": [row([-1])]}), "a row of the"),
    "another form": (with_header({"arrays": [row([1], "zip")]}), "a row of"),
    "too many arrays": (with_header({"arrays": [row([1])] * 1025}), "1024 arr"),
    "huge array": (with_header({"arrays": [row([2**15, 2**15])]}), "16777216"),
    "too large to count": (
        with_header({"arrays": [row([2**52] * 40)]}),
        "at most 16777216 numbers",
    ),
    "huge codebook": (
        with_header({"arrays": [row([1], "shared", entries=2**40)]}),
        "at most 16777216 numbers",
    ),
    "header of 64 MiB": (with_header(b" " * 2**26), "at most 1048576 bytes"),
    "no streams": (with_header({"arrays": [row([9])]}), "at least 5 bytes"),
    "too many lanes": (
        with_header({"arrays": [row([9])]}, b"\x0f" + bytes(99)),
        "at most 2**14 lanes",
    ),
    "too few lanes": (
        with_header({"arrays": [row([2**23])]}, b"\x06" + bytes(99)),
        "a lane for each 262144 of their 33554432 symbols",
    ),
    "more numbers than bits": (
        with_header({"arrays": [row([2**24])]}, WHOLE[-60:]),
        "",
    ),
}


def test_damaged_files_are_one_error_each(decode):
    found = decode([content for content, _ in DAMAGED.values()])
    for (name, (content, expected)), received in zip(
        DAMAGED.items(), found["results"], strict=True
    ):
        assert set(received) == {"error"}, name
        assert expected in received["error"], name
        with pytest.raises((ValueError, AttributeError)):
            sqz.load(content)
    # What Node.js itself takes is 40 MB or so.
    assert found["rss"] < 200e6


def test_mutated_files_are_refused_as_in_python(decode):
    """Past the checksum: whatever Python takes is equal, the rest an error."""
    rng = np.random.default_rng(0)
    arrays = every_encoding()
    for name in ("skewed/kernel", "shared/kernel", "stepped/kernel"):
        del arrays[name]
    body = sqz.dump({}, arrays)[17:]
    contents = []
    for _ in range(150):
        mutated = bytearray(body)
        for place in rng.integers(len(body), size=rng.integers(1, 3)):
            mutated[place] = rng.integers(256)
        contents.append(reseal(bytes(mutated)))
    refused = 0
    for content, received in zip(contents, decode(contents)["results"]):
        try:
            expected = in_python(content)
        except (ValueError, LookupError, TypeError, AttributeError):
            assert set(received) == {"error"}
            refused += 1
        else:
            assert received == expected
    assert 50 < refused < 150


SQUARE = """
import { square } from "./photographs.js";

const jobs = JSON.parse(process.argv[1]);
console.log(JSON.stringify(
  jobs.map(({ image, side, shorter }) => [...square(image, side, shorter)]),
));
"""


def test_photographs_are_resized_as_in_python(modules):
    rng = np.random.default_rng(0)
    jobs, expected = [], []
    for height, width, side, shorter_side in (
        *((40, 30, 16, 16), (31, 50, 16, 18), (9, 11, 27, 30)),
        *((16, 16, 16, 16), (3, 70, 10, 11), (27, 25, 10, 10)),
    ):
        rgba = rng.integers(0, 256, (height, width, 4), "uint8")
        data = rgba.ravel().tolist()
        image = {"width": width, "height": height, "data": data}
        jobs.append({"image": image, "side": side, "shorter": shorter_side})
        square = image_ops.square(rgba[..., :3], side, shorter_side)
        expected.append(square.numpy().astype("int64"))
    received = web_modules.run(modules, SQUARE, json.dumps(jobs))
    for found, square in zip(received, expected, strict=True):
        difference = np.reshape(found, square.shape) - square
        # Sums of float32 and of float64 may round differently.
        assert abs(difference).max() <= 1
        assert (difference != 0).mean() < 0.02
