"""Time a network in every runtime that is installed.

MODEL is what `export` takes, or a folder that it wrote. The network is exported
to every format whose runtime is installed, and each file is run in a process of
its own. They take turns, so that a slow moment of the machine affects all of
them alike: compare the ratios. The int8 formats need --calibration.
"""

import contextlib
import dataclasses
import os
import pathlib
import tempfile

from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import export_flags
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.export import formats
from keras_squeezenet.utils import files

FLAGS = command_flags.CommandFlags("MODEL")
JSON_FILE = "benchmark.json"
PLOT_FILE = "benchmark.png"
KERAS_FILE = "keras.keras"
# A page runs in a browser.
NOT_TIMED = ("web",)

with FLAGS.group("Network"):
    network_flags.define_model(FLAGS)
    network_flags.define(FLAGS)
with FLAGS.group("Images"):
    export_flags.define_images(FLAGS)
with FLAGS.group("Timing"):
    FLAGS.define(int, "batch_size", 32, "images in a batch", 1)
    FLAGS.define(int, "threads", 1, "threads of each runtime", 1)
    FLAGS.define(int, "calls", 100, "timed calls of each file and size", 1)
with FLAGS.group("Output"):
    output_flags.define(FLAGS, f"{JSON_FILE} and {PLOT_FILE}")


def main(*positional):
    model = network_flags.take_model(FLAGS, positional)
    network_flags.require_config_used(FLAGS, model)
    output_flags.require_valid(FLAGS)
    labels = network_flags.read_labels(FLAGS.labels)
    console = output_flags.make_console(FLAGS)
    progress = terminal.ConsoleProgress(console)
    from keras_squeezenet.evaluation import latency

    with files_of(model, labels, progress) as (folder, manifest, left_out):
        measured = latency.measure(
            {row["name"]: folder / row["name"] for row in manifest["files"]},
            sorted({1, FLAGS.batch_size}),
            threads=FLAGS.threads,
            calls=FLAGS.calls,
            progress=progress,
        )
    summary = summarize(manifest, measured, left_out)
    if FLAGS.out:
        write(summary)
    output_flags.print_result(FLAGS, console, summary, tables(summary))
    if not FLAGS.json:
        print_notes(console, summary)


@contextlib.contextmanager
def files_of(model, labels, progress):
    """Yield a folder with the files of a model, its manifest, and notes.

    The notes say why formats are left out.
    """
    if os.path.isfile(os.path.join(model, formats.MANIFEST)):
        folder = pathlib.Path(model)
        yield folder, read_manifest(folder), []
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary, "exported")
        left_out = export(model, labels, folder, progress)
        manifest = read_manifest(folder)
        manifest["files"].insert(0, save_keras(model, folder, manifest))
        yield folder, manifest, left_out


def read_manifest(folder):
    """Return what `export` wrote about a folder, of the files to time."""
    path = folder / formats.MANIFEST
    with files.as_value_error(f"{path} is not the manifest of an export"):
        manifest = files.read_json(path)
        known = {
            key: manifest[key] for key in ("model", "image_size", "accuracy")
        }
        rows = [
            {key: row[key] for key in ("name", "bytes", "accuracy")}
            for row in manifest["files"]
            if row.get("format") not in NOT_TIMED
        ]
    return {**known, "files": rows}


def export(model, labels, folder, progress):
    """Export to what can be timed; return why other formats are left out."""
    from keras_squeezenet import export as exports

    chosen, left_out = available(FLAGS.calibration is not None)
    exports.export(
        model,
        chosen,
        folder,
        test=FLAGS.dataset,
        class_names=labels,
        progress=progress,
        **FLAGS.values_of(
            *("config", "image_size", "normalization", "calibration"),
            *("images", "data_dir", "seed", "skip_bad_images"),
        ),
    )
    return left_out


def save_keras(model, folder, manifest):
    """Save the Keras model beside the files; return its row of them.

    One for images of any size is timed on images of the files' size.
    """
    from keras_squeezenet import metadata
    from keras_squeezenet import models

    path = folder / KERAS_FILE
    options = FLAGS.values_of("config", "image_size", "normalization")
    loaded = models.load(model, **options)
    known = dataclasses.replace(
        metadata.of(loaded), image_size=manifest["image_size"]
    )
    metadata.attach(loaded, known)
    models.save(loaded, path)
    return {
        "name": path.name,
        "bytes": path.stat().st_size,
        "accuracy": manifest["accuracy"],
    }


def available(is_calibrated):
    """Return the formats that can be timed, and why the others cannot."""
    chosen, left_out = [], []
    for name in formats.FORMATS:
        if name in NOT_TIMED:
            continue
        try:
            formats.choose(name, is_calibrated)
        except ModuleNotFoundError as error:
            left_out.append(str(error))
        except ValueError:
            left_out.append(f"the format {name} needs --calibration")
        else:
            chosen.append(name)
    return chosen, left_out


def summarize(manifest, measured, left_out):
    """Return everything as JSON-compatible values, a row for each file."""
    rows = []
    for file in manifest["files"]:
        single, *batch = (
            each for each in measured if each.name == file["name"]
        )
        found = {
            **{key: file[key] for key in ("name", "bytes", "accuracy")},
            "memory": (single, *batch)[-1].memory,
        }
        for each in (single, *batch):
            found[str(each.batch_size)] = {
                key: getattr(each, key)
                for key in ("calls", "median", "low", "high")
            }
        rows.append(found)
    return {
        "model": manifest["model"],
        "image_size": manifest["image_size"],
        "threads": FLAGS.threads,
        "batch_sizes": sorted({each.batch_size for each in measured}),
        "files": rows,
        "left_out": left_out,
    }


def tables(summary):
    """Return the table of the files, with the times in milliseconds."""
    rows = []
    first = summary["files"][0]
    for row in summary["files"]:
        found = {
            "name": row["name"],
            "bytes": row["bytes"],
            "memory": row["memory"],
            "accuracy": row["accuracy"],
        }
        for size in summary["batch_sizes"]:
            times, reference = row[str(size)], first[str(size)]
            found[f"ms{size}"] = times["median"]
            found[f"ratio{size}"] = times["median"] / reference["median"]
        rows.append(found)
    columns = {"file": "name"}
    for size in summary["batch_sizes"]:
        many = "" if size == 1 else f" x{size}"
        columns[f"ms{many}"] = f"ms{size}:.2f"
        columns[f"ratio{many}"] = f"ratio{size}:.2f"
    columns |= {"MiB": "memory:.0f", "bytes": "bytes:,"}
    if any(row["accuracy"] is not None for row in rows):
        columns["accuracy"] = "accuracy:.2%"
    title = (
        f"{os.path.basename(summary['model'])}, images of "
        f"{summary['image_size']}x{summary['image_size']}, batches of "
        f"{' and '.join(map(str, summary['batch_sizes']))}, threads: "
        f"{summary['threads']}"
    )
    return [report.Table.of(title, rows, columns)]


def print_notes(console, summary):
    console.print(
        "\nMedians; a ratio is to the first row. MiB is the peak memory of the "
        "process.",
        soft_wrap=True,
    )
    for reason in summary["left_out"]:
        terminal.print_line(console, f"Not timed: {reason}")
    if FLAGS.out:
        terminal.print_line(console, f"Written to {FLAGS.out}")


def write(summary):
    from keras_squeezenet.report.plots import latencies

    with files.new_folder(FLAGS.out, FLAGS.overwrite) as folder:
        files.write_json(folder / JSON_FILE, summary)
        output_flags.write_plot(
            folder / PLOT_FILE, latencies.latencies(summary)
        )
