"""Sweep the design space: train a network for each point of a grid.

Trains every combination of metaparameters (paper, section 5) with one recipe,
and writes the parameters, MiB, multiply-accumulates and accuracies of each.
With --notrain nothing is trained and no data set is read: the sizes are those
for --image_size and --classes.
"""

import itertools
import json

from keras_squeezenet import report
from keras_squeezenet import training
from keras_squeezenet.cli import runs
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.cli.flags import recipe_flags
from keras_squeezenet.cli.flags import recipe_help
from keras_squeezenet.cli.flags import training_flags
from keras_squeezenet.exploration import grids
from keras_squeezenet.utils import files
from keras_squeezenet.utils import recipe_fields
from keras_squeezenet.utils import strict_json
from keras_squeezenet.utils import suggestions
from keras_squeezenet.utils.text import shortened

PLOT_FILE = "exploration.png"
IMAGE_SIZE = 227
CLASSES = 1000

FLAGS = command_flags.CommandFlags()

with FLAGS.group("Grid"):
    FLAGS.define(
        str,
        "grid",
        "paper",
        f"{', '.join(grids.GRIDS)}: those of figure 3; or JSON, or a JSON or "
        "YAML file: lists of values by metaparameter, in every combination "
        '(\'{"SR": [0.25, 0.5], "bypass": [null, "simple"]}\'), or a list '
        "of these",
    )
    training_flags.define_config(FLAGS, "1.0")
    FLAGS.define(
        bool,
        "train",
        True,
        "train nothing: compute the sizes, and write them to exploration.csv "
        "in --out",
    )
    FLAGS.define(
        int,
        "classes",
        None,
        f"number of classes, with --notrain (default: {CLASSES:,})",
        1,
    )
    FLAGS.define(
        int,
        "jobs",
        1,
        "networks to train at once, each in a process of its own",
        1,
    )
with FLAGS.group("Images"):
    dataset_flags.define(FLAGS)
with FLAGS.group("Output"):
    output_flags.define_run(FLAGS, out="squeezenet_explored")
recipe_flags.define(FLAGS, training.RECIPES, recipe_help.TRAINING)


def main():
    grid = read_grid(FLAGS.grid)
    require_valid()
    console = terminal.make_console()
    if FLAGS.train:
        explore(console, grid)
    else:
        measure(console, grid)


def require_valid():
    """Raise a `ValueError` for flags that have no effect."""
    dataset_flags.require_valid(FLAGS)
    if FLAGS.train:
        unused, reason = ["classes"], "is for --notrain"
    else:
        unused = ["dataset", "data_dir", "skip_bad_images", "jobs", "resume"]
        unused += ["tensorboard", "recipe"]
        unused += itertools.chain.from_iterable(recipe_help.TRAINING.values())
        reason = "is for training, and --notrain trains nothing"
    for name in unused:
        if FLAGS[name].present:
            raise ValueError(
                f"--{name} {reason}. Received: --{name}={FLAGS[name].value}"
            )


def read_grid(text):
    """Return the grid of a name, of JSON, or of a file."""
    if text in grids.GRIDS:
        return grids.GRIDS[text]
    if text.endswith(recipe_fields.SUFFIXES):
        return recipe_fields.parse(text)
    try:
        return json.loads(text, object_pairs_hook=strict_json.unique)
    except (ValueError, RecursionError) as error:
        hint = suggestions.did_you_mean(text, grids.GRIDS)
        raise ValueError(
            f"--grid must be one of {', '.join(grids.GRIDS)}, JSON, or a file "
            f"ending in {', '.join(recipe_fields.SUFFIXES)}. Received: "
            f"--grid={shortened(text)}.{hint}"
        ) from error


def measure(console, grid):
    from keras_squeezenet.exploration import sweep
    from keras_squeezenet.training import network

    image_size = FLAGS.image_size or IMAGE_SIZE
    classes = FLAGS.classes or CLASSES
    base = network.for_images(image_size, FLAGS.config)
    rows = grids.sizes(grids.points(grid, base), image_size, classes)
    with files.new_folder(FLAGS.out, FLAGS.overwrite) as folder:
        files.write_csv(folder / sweep.CSV_FILE, rows)
    terminal.print_table(console, table(rows, image_size, classes))
    terminal.print_line(console, f"\nWritten: {sweep.CSV_FILE} in {FLAGS.out}")


def explore(console, grid):
    from keras_squeezenet.exploration import sweep
    from keras_squeezenet.report import plots

    recipe = recipe_flags.make(FLAGS, training.RECIPES)
    run_flags = ("overwrite", "resume", "tensorboard")
    with runs.resumable(FLAGS.out, sweep.JSON_FILE):
        found = sweep.explore(
            grid,
            dataset_flags.loader(FLAGS, recipe.seed, FLAGS.image_size),
            recipe,
            progress=terminal.ConsoleProgress(console),
            **FLAGS.values_of("out", "config", "jobs", *run_flags),
        )
    points, failed = found["points"], found["failed"]
    drawn = plots.exploration(points, grids.varied(points))
    with files.new_file(f"{FLAGS.out}/{PLOT_FILE}") as temporary:
        output_flags.write_plot(temporary, drawn)
    sizes = (found["dataset"]["image_size"], found["dataset"]["classes"])
    terminal.print_table(console, table(points, *sizes))
    names = (sweep.CSV_FILE, sweep.JSON_FILE, PLOT_FILE)
    terminal.print_line(
        console, f"\nWritten: {', '.join(names)} in {FLAGS.out}"
    )
    if failed:
        raise RuntimeError(
            f"{len(failed)} of {len(points)} points failed; the same "
            "command with --resume tries them again.\n"
            + "\n".join(f"{name}: {error}" for name, error in failed.items())
        )


def table(rows, image_size, classes):
    """Return the sizes of points, and their accuracies if known."""
    fields = grids.varied(rows) or grids.FIELDS[:5]
    columns = {
        **{field: field for field in fields},
        "parameters": "parameters:,",
        "MiB": "mib:.2f",
        "million MACs": "macs:,.1f",
    }
    if "test_accuracy" in rows[0]:
        columns["validation"] = "validation_accuracy:.2%"
        columns["test"] = "test_accuracy:.2%"
        columns["seconds"] = "seconds:.1f"
    return report.Table.of(
        f"Design space, {image_size}x{image_size}, {classes:,} classes",
        [
            {
                **row,
                **{field: str(row[field]) for field in fields},
                "macs": row["macs"] / 1e6,
            }
            for row in rows
        ],
        columns,
    )
