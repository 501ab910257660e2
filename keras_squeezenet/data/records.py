"""The records of the shards that TensorFlow Datasets writes, in any order."""

import itertools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

# A record of a TFRecord file: its length, the checksum of that, the content,
# and the checksum of that.
LENGTH_BYTES = 8
CHECKSUM_BYTES = 4


def of(builder: Any, split: str) -> Sequence[bytes] | None:
    """Return the records of a split; `None` if a read must be sequential.

    Args:
        builder: a prepared `tfds.core.DatasetBuilder`.
        split: as for TensorFlow Datasets, such as `"train[:80%]"`.

    Raises:
        ValueError: if shards are missing or damaged; it names them.
        ModuleNotFoundError: if the package that reads ArrayRecord shards is
            not installed.
    """
    shards = builder.info.splits[split].file_instructions
    kind = getattr(builder.info.file_format, "value", None)
    is_local = all("://" not in shard.filename for shard in shards)
    if kind not in ("tfrecord", "array_record") or not shards or not is_local:
        return None
    _require_shards(builder, shards)
    if kind == "tfrecord":
        return TFRecords(shards)
    return _array_records(shards)


def first_of_shards(builder: Any, split: str) -> list[tuple[str, int]]:
    """Return the path of each shard, and the index of its first record."""
    shards = builder.info.splits[split].file_instructions
    starts = itertools.accumulate((shard.take for shard in shards), initial=0)
    return [(shard.filename, start) for shard, start in zip(shards, starts)]


def damaged(path: Any, error: object) -> ValueError:
    """Return the error for a shard that cannot be read."""
    return ValueError(
        "the shards of a data set must be as TensorFlow Datasets writes them. "
        f"Received: {path}: {error}. Copy it again, or prepare the data set "
        "again"
    )


class TFRecords(Sequence[bytes]):
    """The records of TFRecord shards.

    A pass over the lengths of the records finds where they are; their content
    is read when it is asked for.

    Args:
        shards: `FileInstruction`s of TensorFlow Datasets.

    Raises:
        ValueError: if a shard is truncated, or has another number of records
            than the data set says.
    """

    def __init__(self, shards: Sequence[Any]):
        self._paths = [shard.filename for shard in shards]
        starts = [_starts_of(shard) for shard in shards]
        self._ends = np.cumsum([len(each) for each in starts])
        self._starts = np.concatenate(starts)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index):
        path = self._paths[np.searchsorted(self._ends, index, side="right")]
        with open(path, "rb", buffering=0) as file:
            return _read(file.fileno(), int(self._starts[index]))


def _array_records(shards):
    paths = [shard.filename for shard in shards]
    try:
        from array_record.python import array_record_data_source
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "ArrayRecord shards are read by the package array_record, which "
            f"is not installed. Received: {paths[0]}. Run: pip install "
            "array_record. If your system has no such package, prepare the "
            "data set again, in TFRecord shards: tfds.builder(NAME, "
            "file_format='tfrecord').download_and_prepare()",
            name="array_record",
        ) from error
    try:
        return array_record_data_source.ArrayRecordDataSource(shards)
    # `array_record` raises many kinds of exceptions.
    except Exception as error:
        raise damaged(paths, error) from error


def _starts_of(shard):
    """Return where the records of a shard start that its instruction takes."""
    starts, start = [], 0
    size = os.path.getsize(shard.filename)
    with open(shard.filename, "rb", buffering=0) as file:
        while start < size:
            starts.append(start)
            length = _length(file.fileno(), start)
            start += LENGTH_BYTES + length + 2 * CHECKSUM_BYTES
    if start > size:
        raise damaged(
            shard.filename,
            f"it ends within record {len(starts)}, counted from 1, after "
            f"{size:,} bytes",
        )
    if len(starts) != shard.examples_in_shard:
        raise damaged(
            shard.filename,
            f"it has {len(starts):,} records, and dataset_info.json says "
            f"{shard.examples_in_shard:,}",
        )
    return np.array(starts[shard.skip : shard.skip + shard.take], "int64")


def _length(descriptor, start):
    return int.from_bytes(os.pread(descriptor, LENGTH_BYTES, start), "little")


def _read(descriptor, start):
    content = start + LENGTH_BYTES + CHECKSUM_BYTES
    return os.pread(descriptor, _length(descriptor, start), content)


def _require_shards(builder, shards):
    missing = [
        shard.filename for shard in shards if not os.path.exists(shard.filename)
    ]
    if missing:
        raise ValueError(
            f"the folder of {builder.info.full_name} must have its "
            f"{len(shards)} shards. Received: {os.fspath(builder.data_dir)}, "
            f"which lacks {len(missing)} of them: "
            f"{os.path.basename(missing[0])}"
            f"{', ...' if len(missing) > 1 else ''}. Copy them there, or "
            "prepare the data set again"
        )
