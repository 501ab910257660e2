"""TFLite Metadata, with which MediaPipe and Android know what a file takes.

A flatbuffer in the file says how images are normalized. A zip archive at its
end has the names of the classes.
"""

import dataclasses
import io
import zipfile
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated

from keras_squeezenet import metadata
from keras_squeezenet import normalizations

LABELS_FILE = "labels.txt"
# The name of the buffer, and the identifiers of the two flatbuffers.
BUFFER = "TFLITE_METADATA"
METADATA_IDENTIFIER = b"M001"
MODEL_IDENTIFIER = b"TFL3"
# The readers of the first version of the schema know all that is written here.
PARSER_VERSION = "1.0.0"
# The fields of the tables of the schema, in order. A union has two, the first
# of them the number of its type.
TABLES = {
    "AssociatedFile": ("name", "description", "type"),
    "Content": ("content_type", "content"),
    "ImageProperties": ("color_space",),
    "ModelMetadata": (
        *("name", "description", "version", "subgraph_metadata", "author"),
        *("license", "associated_files", "min_parser_version"),
    ),
    "NormalizationOptions": ("mean", "std"),
    "ProcessUnit": ("options_type", "options"),
    "SubGraphMetadata": (
        *("name", "description", "input_tensor_metadata"),
        "output_tensor_metadata",
    ),
    "TensorMetadata": (
        *("name", "description", "dimension_names", "content"),
        *("process_units", "stats", "associated_files"),
    ),
}
IMAGE_PROPERTIES = 2
NORMALIZATION_OPTIONS = 1
COLOR_SPACES = {3: 1, 1: 2}
TENSOR_AXIS_LABELS = 2
# What the converter aligns weights to.
ALIGNMENT = 16


def append(
    content: bytes, found: metadata.Metadata | None, name: str = "classifier"
) -> bytes:
    """Return a `.tflite` file with what a network takes and returns, if known.

    A file of 1,000 classes without names gets those of ImageNet. Images in the
    order BGR cannot be described: MediaPipe then refuses the file, if it does
    not take uint8.

    Args:
        content: a file with one input and one output.
        found: the metadata of the network.
        name: the name of the network.
    """
    if found is None:
        return content
    model = schema_py_generated.ModelT.InitFromPackedBuf(content)
    (graph,) = model.subgraphs
    outputs = int(graph.tensors[graph.outputs[0]].shape[-1])
    labels = metadata.labels(found, outputs)
    buffer = schema_py_generated.BufferT()
    buffer.data = np.frombuffer(_dump(_describe(found, labels, name)), "uint8")
    entry = schema_py_generated.MetadataT()
    entry.name, entry.buffer = BUFFER, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]
    builder = _AlignedBuilder(len(content))
    builder.Finish(model.Pack(builder), MODEL_IDENTIFIER)
    file = io.BytesIO(bytes(builder.Output()))
    if labels:
        with zipfile.ZipFile(file, "a") as archive:
            lines = "".join(f"{label}\n" for label in labels)
            # Without the time, so that equal models make equal files.
            archive.writestr(zipfile.ZipInfo(LABELS_FILE), lines)
    return metadata.append(file.getvalue(), found)


class _AlignedBuilder(flatbuffers.Builder):
    """Aligns every vector as TensorFlow does; LiteRT maps weights to memory."""

    def StartVector(self, elemSize, numElems, alignment):
        return super().StartVector(
            elemSize, numElems, max(alignment, ALIGNMENT)
        )


@dataclasses.dataclass(frozen=True)
class _Table:
    """A table of the schema, with the values of some of its fields."""

    kind: str
    values: dict[str, Any]


def _describe(found, labels, name):
    """Return the `ModelMetadata` of a network."""
    images = {
        "name": "images",
        "description": str(
            dataclasses.replace(found, class_names=(), thresholds=())
        ),
        "content": _Table(
            "Content",
            {
                "content_type": IMAGE_PROPERTIES,
                "content": _Table(
                    "ImageProperties",
                    {"color_space": COLOR_SPACES.get(found.channels, 0)},
                ),
            },
        ),
    }
    normalization = normalizations.get(found.normalization)
    if normalization.order == "RGB":
        values = {"mean": normalization.mean, "std": normalization.std}
        options = _Table("NormalizationOptions", values)
        unit = {"options_type": NORMALIZATION_OPTIONS, "options": options}
        images["process_units"] = [_Table("ProcessUnit", unit)]
    probabilities = {
        "name": "probabilities",
        "description": "The probability of each class.",
    }
    if found.thresholds:
        probabilities["description"] = (
            "The probability of each label. An image has those whose "
            "probability is at least: "
            + ", ".join(f"{value:g}" for value in found.thresholds)
        )
    if labels:
        file = {
            "name": LABELS_FILE,
            "description": "The names of the classes.",
            "type": TENSOR_AXIS_LABELS,
        }
        probabilities["associated_files"] = [_Table("AssociatedFile", file)]
    graph = {
        "input_tensor_metadata": [_Table("TensorMetadata", images)],
        "output_tensor_metadata": [_Table("TensorMetadata", probabilities)],
    }
    values = {
        "name": name,
        "description": "An image classifier.",
        "subgraph_metadata": [_Table("SubGraphMetadata", graph)],
        "min_parser_version": PARSER_VERSION,
    }
    return _Table("ModelMetadata", values)


def _dump(table):
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write(builder, table), METADATA_IDENTIFIER)
    return bytes(builder.Output())


def _write(builder, value):
    """Write a value; return its offset. Numbers are returned: tables have them.

    All integers of the tables have one byte.
    """
    match value:
        case int():
            return value
        case str():
            return builder.CreateString(value)
        case tuple():
            return builder.CreateNumpyVector(np.array(value, "float32"))
        case list():
            offsets = [_write(builder, each) for each in value]
            builder.StartVector(4, len(offsets), 4)
            for offset in reversed(offsets):
                builder.PrependUOffsetTRelative(offset)
            return builder.EndVector()
    fields = TABLES[value.kind]
    written = {key: _write(builder, each) for key, each in value.values.items()}
    builder.StartObject(len(fields))
    for key, each in written.items():
        slot = fields.index(key)
        if isinstance(value.values[key], int):
            builder.PrependUint8Slot(slot, each, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, each, 0)
    return builder.EndObject()
