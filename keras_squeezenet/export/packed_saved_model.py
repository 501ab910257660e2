"""SavedModel folders with entropy-coded weights.

They use standard TensorFlow operations only, so loading a folder needs neither
this package nor Keras: an initializer decodes one constant, as `codec.rans`
does, into one variable that the serving function reads.
"""

import hashlib
import math
import os
import pathlib
import re
import zlib

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import graph
from keras_squeezenet.codec import bit_io
from keras_squeezenet.codec import encodings
from keras_squeezenet.codec import frequency_tables
from keras_squeezenet.codec import headers
from keras_squeezenet.codec import rans
from keras_squeezenet.codec import sqz
from keras_squeezenet.codec import streams
from keras_squeezenet.export import signatures
from keras_squeezenet.utils import backend

# Each step decodes one symbol of every lane. A lane costs 3 bytes in the file.
LANES = 512


def save(
    content: bytes,
    path: str | os.PathLike,
    raw_images: bool = False,
    shorter_side: int | None = None,
) -> None:
    """Write a .sqz file as a SavedModel folder.

    Its signatures are those of `saved_model.save`.

    Args:
        content: a .sqz file of a model.
        path: the folder to write, which must not exist.
        raw_images, shorter_side: as `saved_model.save` takes them.

    Raises:
        RuntimeError: on a backend other than TensorFlow.
        ValueError: if the content is damaged; with `raw_images`, if the
            network does not take square images of one size.
    """
    backend.require_tensorflow()
    header, arrays = sqz.load(content)
    description = header["network"]
    graph.require(description)
    module = tf.Module()
    # TensorFlow 1 finds the variable by its name, which must be unique in a
    # session.
    digest = hashlib.sha256(content).hexdigest()
    module.weights = _Weights(f"sqz_{digest[:16]}", arrays)
    shape = description["layers"][0]["shape"]
    module.serve = tf.function(
        lambda images: {
            signatures.OUTPUT: _run(description, module.weights.read(), images)
        },
        input_signature=[tf.TensorSpec([None, *shape], name="images")],
    )
    signatures.write(
        module,
        path,
        raw_images,
        shorter_side,
        options=tf.saved_model.SaveOptions(experimental_debug_stripper=True),
        found=headers.parse(header),
    )
    _strip(pathlib.Path(path, "saved_model.pb"))


class _Weights(tf.saved_model.experimental.TrackableResource):
    """One variable with all weights, initialized by decoding a constant."""

    def __init__(self, name, arrays):
        super().__init__()
        self._name = name
        plain = {
            key: array.values
            for key, array in arrays.items()
            if isinstance(array, encodings.PlainArray)
        }
        coded = {key: arrays[key] for key in arrays if key not in plain}
        self._stream = _Stream(coded.values())
        self._plain = np.concatenate(
            [np.zeros(0, "float32"), *map(np.ravel, plain.values())]
        )
        self._shapes = {key: array.codes.shape for key, array in coded.items()}
        self._shapes.update((key, array.shape) for key, array in plain.items())
        self._sizes = [math.prod(shape) for shape in self._shapes.values()]

    def _create_resource(self):
        return tf.raw_ops.VarHandleOp(
            dtype=tf.float32,
            shape=[sum(self._sizes)],
            shared_name=self._name,
        )

    def _initialize(self):
        numbers = self._stream.decode()
        if len(self._plain):
            plain = _inflated(self._plain, tf.float32)
            numbers = tf.concat([numbers, plain], 0)
        tf.raw_ops.AssignVariableOp(
            resource=self.resource_handle, value=numbers
        )

    def read(self):
        numbers = tf.raw_ops.ReadVariableOp(
            resource=self.resource_handle, dtype=tf.float32
        )
        return {
            name: tf.reshape(part, shape) if len(shape) > 1 else part
            for (name, shape), part in zip(
                self._shapes.items(), tf.split(numbers, self._sizes)
            )
        }


class _Stream:
    """Codebook and uniform arrays as a constant, with their decoder."""

    def __init__(self, arrays):
        codes = [array.codes for array in arrays]
        self.sizes = [code.size for code in codes]
        # The rounded counts of a .sqz file deflate better than exact ones.
        tables, self.content = streams.encode_with_tables(
            codes, bit_io.Writer(), LANES
        )
        # The last step is padded with a symbol that keeps the state.
        arrays = [*arrays, encodings.UniformArray(np.zeros(0), 0.0)]
        tables.append(frequency_tables.Table(0, np.array([rans.TOTAL])))
        self.frequencies = np.concatenate([t.frequencies for t in tables])
        # Codebooks have a step size of 0; uniform arrays have values of 0.
        self.steps = np.array([getattr(a, "step", 0) for a in arrays], "f4")
        values = [
            array.codebook[table.first :][: len(table.frequencies)]
            if isinstance(array, encodings.CodebookArray)
            else np.zeros(len(table.frequencies), "f4")
            for array, table in zip(arrays, tables)
        ]
        self.values = np.concatenate(values)
        starts = np.cumsum([0, *map(len, values)])[:-1]
        self.offsets = np.array([table.first for table in tables]) - starts

    def decode(self):
        """Return the values of all arrays, concatenated."""
        total = sum(self.sizes)
        rounds = -(-total // LANES)
        member = _which(np.cumsum([0, *self.sizes]), rounds * LANES)
        symbols = self._decode_symbols(member, rounds)
        values = _inflated(self.values, tf.float32)
        codes = symbols + tf.gather(tf.constant(self.offsets, tf.int32), member)
        steps = tf.gather(tf.constant(self.steps), member)
        numbers = tf.cast(codes, tf.float32) * steps + tf.gather(
            values, symbols
        )
        return numbers[:total]

    def _decode_symbols(self, member, rounds):
        """Decode the symbols as `codec.rans.decode` does."""
        frequencies = tf.cast(_inflated(self.frequencies, tf.uint16), tf.int64)
        starts = tf.cumsum(frequencies, exclusive=True)
        symbol_at = _which(starts, len(self.steps) * rans.TOTAL)
        bases = tf.reshape(
            tf.cast(member, tf.int64) * rans.TOTAL, (rounds, LANES)
        )
        words = tf.io.decode_raw(tf.constant(self.content), tf.uint16)
        states = tf.bitcast(
            tf.reshape(words[: 2 * LANES], (LANES, 2)), tf.uint32
        )
        states = tf.cast(states, tf.int64)
        # The last step may read up to `LANES` words past the end.
        words = tf.pad(tf.cast(words, tf.int64), [[0, LANES]])

        def step(index, states, taken, found):
            places = tf.gather(bases, index) + states % rans.TOTAL
            symbols = tf.gather(symbol_at, places)
            states = tf.gather(frequencies, symbols) * (states // rans.TOTAL)
            states += places - tf.gather(starts, symbols)
            empty = tf.cast(states < rans.LOWEST, tf.int64)
            following = taken + tf.cumsum(empty, exclusive=True)
            refill = (rans.LOWEST - 1) * states + tf.gather(words, following)
            return (
                index + 1,
                states + empty * refill,
                taken + tf.reduce_sum(empty),
                found.write(index, symbols),
            )

        *_, found = tf.while_loop(
            lambda index, *_: index < rounds,
            step,
            (
                0,
                states,
                tf.constant(2 * LANES, tf.int64),
                tf.TensorArray(tf.int32, rounds, element_shape=(LANES,)),
            ),
        )
        return found.concat()


def _which(starts, count):
    """Return the interval that contains each integer below `count`."""
    starts = tf.convert_to_tensor(starts, tf.int64)
    numbers = tf.range(count, dtype=tf.int64)
    # `tf.repeat` would allocate a matrix.
    found = tf.raw_ops.UpperBound(
        sorted_inputs=tf.expand_dims(starts, 0),
        values=tf.expand_dims(numbers, 0),
    )
    return tf.squeeze(found, 0) - 1


def _inflated(numbers, dtype):
    """Return a tensor that is stored deflated, byte plane by byte plane."""
    numbers = np.asarray(numbers, dtype.as_numpy_dtype)
    planes = numbers.view("u1").reshape(-1, dtype.size).T
    content = tf.constant(zlib.compress(planes.tobytes(), 9))
    planes = tf.io.decode_raw(
        tf.io.decode_compressed(content, "ZLIB"), tf.uint8
    )
    planes = tf.reshape(planes, (dtype.size, -1))
    return tf.bitcast(tf.transpose(planes), dtype)


def _run(description, weights, images):
    """Run the network with fewer operations than Keras layers create."""

    def call(layer, *received):
        received = graph.only(received)
        kernel = weights.get(f"{layer['name']}/kernel")
        if kernel is None:
            return _without_weights(layer, received)
        if layer["type"] == "Conv2D":
            output = tf.nn.conv2d(
                received, kernel, layer["strides"], layer["padding"].upper()
            )
        else:
            output = tf.matmul(received, kernel)
        if layer["use_bias"]:
            bias = weights[f"{layer['name']}/bias"]
            output = tf.nn.bias_add(output, bias)
        return keras.activations.get(layer["activation"])(output)

    return graph.run(description, images, call)


def _without_weights(layer, received):
    if layer["type"] == "Dropout":
        return received
    return graph.make_layer(keras, layer)(received)


def _strip(path):
    """Remove what loading a SavedModel does not need, and shorten its names."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for meta_graph in saved.meta_graphs:
        meta_graph.meta_info_def.ClearField("stripped_op_list")
        library = meta_graph.graph_def.library.function
        for nodes in (
            meta_graph.graph_def.node,
            *(function.node_def for function in library),
        ):
            for node in nodes:
                node.attr.pop("_output_shapes", None)
                node.ClearField("experimental_debug_info")
        for function in library:
            for attributes in function.arg_attr.values():
                attributes.attr.pop("_output_shapes", None)
            _number_nodes(function)
    path.write_bytes(saved.SerializeToString(deterministic=True))


def _number_nodes(function):
    """Rename the nodes of a function to numbers, which its arguments are not.

    A name is in the file once for the node and once for each use.
    """
    numbers = {
        node.name: str(number) for number, node in enumerate(function.node_def)
    }

    def rename(reference):
        """Return `^node`, `node:output:index` or an argument, renamed."""
        control, name, place = re.fullmatch(
            r"(\^?)([^:]*)(.*)", reference
        ).groups()
        return control + numbers.get(name, name) + place

    for node in function.node_def:
        node.name = numbers[node.name]
        node.input[:] = map(rename, node.input)
    for returned in (function.ret, function.control_ret):
        for key, reference in dict(returned).items():
            returned[key] = rename(reference)
