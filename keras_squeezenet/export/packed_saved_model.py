"""A SavedModel that stays small on disk: its weights are entropy coded.

It has stock operations only. An initializer decodes one constant when the
model is loaded, as `codec.rans` does, into one variable that the serving
function reads. Neither this package nor Keras is needed to load it.
"""

import hashlib
import pathlib
import zlib

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import codec
from keras_squeezenet import graph
from keras_squeezenet.codec import bits
from keras_squeezenet.codec import encodings
from keras_squeezenet.codec import frequency_tables
from keras_squeezenet.codec import rans
from keras_squeezenet.codec import sqz
from keras_squeezenet.data import image_ops
from keras_squeezenet.export import signatures
from keras_squeezenet.utils import backend

# A step of the decoder takes a symbol of each lane, and a lane 2 bytes.
LANES = 512


def save(content, path, raw_images=False, shorter_side=None):
    """Writes the SavedModel folder of a .sqz file.

    Its signature `serving_default` takes `images` as `preprocess_input` makes
    them, float32 and of any batch, and returns `probabilities`.

    Args:
        content: bytes of a .sqz file of a model.
        path: the folder to write, which should not exist.
        raw_images: whether there is a second signature, as `saved_model.save`
            writes it. Defaults to `False`.
        shorter_side: int, what the shorter side of raw images is resized to.
            Defaults to what `classifier.Classifier` does: 256 for images of
            227 pixels if the labels of the file say that its classes are
            ImageNet's, otherwise to the side of the network's images.

    Raises:
        RuntimeError: on another backend than TensorFlow.
        ValueError: if the content is damaged, or is to take raw images and
            the network does not take squares of one size.
    """
    backend.require_tensorflow()
    header, arrays = sqz.load(content)
    description = header["network"]
    module = tf.Module()
    # The loader of TensorFlow 1 finds the variable by its name, which no other
    # file in the same session may have.
    digest = hashlib.sha256(content).hexdigest()
    module.weights = _Weights(f"sqz_{digest[:16]}", arrays)
    shape = description["layers"][0]["shape"]
    module.serve = tf.function(
        lambda images: {
            "probabilities": _run(description, module.weights.read(), images)
        },
        input_signature=[tf.TensorSpec([None, *shape], name="images")],
    )
    signatures.write(
        module,
        path,
        raw_images,
        shorter_side or _shorter_side(header),
        options=tf.saved_model.SaveOptions(experimental_debug_stripper=True),
    )
    _strip(pathlib.Path(path, "saved_model.pb"))


def _shorter_side(header):
    (side, *_) = header["network"]["layers"][0]["shape"]
    if side and header.get("labels") == codec.IMAGENET:
        return round(side * image_ops.IMAGENET_SCALE)
    return None


class _Weights(tf.saved_model.experimental.TrackableResource):
    """A variable of all weights, that decodes itself.

    Args:
        name: str, of the variable.
        arrays: dict of name to form, as `sqz.load` returns it.
    """

    def __init__(self, name, arrays):
        super().__init__()
        self._name = name
        is_coded = {
            name: not isinstance(array, encodings.PlainArray)
            for name, array in arrays.items()
        }
        # Those that are coded come first.
        self._arrays = {
            name: arrays[name]
            for name in sorted(arrays, key=lambda name: not is_coded[name])
        }
        self._stream = _Stream(
            [arrays[name] for name in self._arrays if is_coded[name]]
        )
        self._plain = np.concatenate(
            [np.zeros(0, "<f4")]
            + [
                arrays[name].values.ravel().astype("<f4")
                for name in self._arrays
                if not is_coded[name]
            ]
        )
        self._shapes = {
            name: (array.codes if is_coded[name] else array.values).shape
            for name, array in self._arrays.items()
        }
        self._sizes = [int(np.prod(shape)) for shape in self._shapes.values()]

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
        """Returns `{name: tensor}`."""
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
    """Coded arrays as a constant, and their decoder in TensorFlow.

    Args:
        arrays: list of `Shared` and `Stepped`.
    """

    def __init__(self, arrays):
        codes = [np.ravel(array.codes).astype("int64") for array in arrays]
        self.sizes = [len(code) for code in codes]
        # Of rounded counts, as a .sqz file has them: they deflate better.
        coded = [frequency_tables.write(bits.Writer(), code) for code in codes]
        firsts = [table.first for table in coded]
        tables = [table.frequencies for table in coded]
        self.content = rans.encode(
            np.concatenate(
                [np.zeros(0, "int64")]
                + [code - first for code, first in zip(codes, firsts)]
            ),
            [*tables, np.array([rans.TOTAL])],
            np.repeat(np.arange(len(codes)), self.sizes),
            LANES,
        )
        # What fills up the last step: a symbol that leaves a state as it is.
        tables.append(np.array([rans.TOTAL]))
        self.frequencies = np.concatenate(tables)
        self.values = np.concatenate(
            [
                np.zeros(len(table), "<f4")
                if step
                else array.codebook[first : first + len(table)]
                for array, table, first, step in zip(
                    arrays, tables, firsts, map(_step, arrays)
                )
            ]
            + [np.zeros(1, "<f4")]
        )
        starts = np.cumsum([0, *map(len, tables)])[:-1]
        self.offsets = np.array([*firsts, 0]) - starts
        self.steps = np.array([*map(_step, arrays), 0], "float32")

    def decode(self):
        """Returns the numbers of all arrays, one after another."""
        total = sum(self.sizes)
        rounds = -(-total // LANES)
        member = _which(np.cumsum([0, *self.sizes]), rounds * LANES)
        symbols = self._decode_symbols(member, rounds)
        values = _inflated(self.values, tf.float32)
        codes = symbols + tf.gather(tf.constant(self.offsets, tf.int32), member)
        steps = tf.gather(tf.constant(self.steps), member)
        # Of shared values the step is 0, of others the value of a symbol.
        numbers = tf.cast(codes, tf.float32) * steps + tf.gather(
            values, symbols
        )
        return numbers[:total]

    def _decode_symbols(self, member, rounds):
        """`codec.rans.decode`."""
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
        # As many words as the last step might look at.
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


def _step(array):
    return array.step if isinstance(array, encodings.UniformArray) else 0


def _which(starts, count):
    """Returns the interval that each of the first `count` numbers is in."""
    starts = tf.convert_to_tensor(starts, tf.int64)
    numbers = tf.range(count, dtype=tf.int64)
    # `tf.repeat` makes a matrix of them.
    found = tf.raw_ops.UpperBound(
        sorted_inputs=tf.expand_dims(starts, 0),
        values=tf.expand_dims(numbers, 0),
    )
    return tf.squeeze(found, 0) - 1


def _inflated(numbers, dtype):
    """Returns numbers as a tensor, that are deflated in the graph.

    Plane by plane: the first bytes of all numbers, the second ones, ...
    """
    numbers = np.asarray(numbers, dtype.as_numpy_dtype)
    planes = numbers.view("u1").reshape(-1, dtype.size).T
    content = tf.constant(zlib.compress(planes.tobytes(), 9))
    planes = tf.io.decode_raw(
        tf.io.decode_compressed(content, "ZLIB"), tf.uint8
    )
    planes = tf.reshape(planes, (dtype.size, -1))
    return tf.bitcast(tf.transpose(planes), dtype)


def _run(description, weights, images):
    """The network, in few operations: Keras's own layers make more."""

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
    arguments = {key: layer[key] for key in graph.LAYERS[layer["type"]]}
    return getattr(keras.layers, layer["type"])(**arguments)(received)


def _strip(path):
    """Takes out of a SavedModel what TensorFlow finds out again by itself."""
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
    path.write_bytes(saved.SerializeToString(deterministic=True))
