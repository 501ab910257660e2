"""`keras-squeezenet explore`: a sweep over SqueezeNet's design space.

Trains a network for each point of a grid of metaparameters (paper section 5),
all with the same recipe, and writes each one's parameters, MiB,
multiply-accumulates and accuracies. With --notrain nothing is trained, and no
data set is read: the sizes are those for --image_size and --classes.
"""

import json

import rich.console
from absl import flags

from keras_squeezenet import report
from keras_squeezenet import training
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli import train as train_command
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.cli.flags import recipe_flags
from keras_squeezenet.cli.flags import training_flags
from keras_squeezenet.exploration import grids
from keras_squeezenet.exploration import sweep
from keras_squeezenet.training import network
from keras_squeezenet.utils import files
from keras_squeezenet.utils import recipe_fields

PICTURE_FILE = "exploration.png"
IMAGE_SIZE = 227
CLASSES = 1000

FLAGS = flags.FlagValues()

flags.DEFINE_string(
    "grid",
    "paper",
    f"{', '.join(grids.GRIDS)}: those of figure 3; or JSON, or a JSON "
    'or YAML file: lists of values by metaparameter, \'{"SR": [0.25, 0.5], '
    '"bypass": [null, "simple"]}\', in every combination; or a list of these',
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    "train", True, "train the points; else sizes only", flag_values=FLAGS
)
flags.DEFINE_integer(
    "classes",
    None,
    f"with --notrain (default: {CLASSES:,})",
    flag_values=FLAGS,
    lower_bound=1,
)
flags.DEFINE_integer(
    "jobs",
    1,
    "points to train at once, each in a process of its own",
    flag_values=FLAGS,
    lower_bound=1,
)
dataset_flags.define(FLAGS)
recipe_flags.define(FLAGS, training.RECIPES, train_command.HELP)
training_flags.define_config(FLAGS, "1.0")
training_flags.define_run(FLAGS, out="squeezenet_explored")


def main():
    console = rich.console.Console(markup=False, highlight=False)
    grid = read_grid(FLAGS.grid)
    if FLAGS.train:
        explore(console, grid)
    else:
        measure(console, grid)


def read_grid(text):
    """Returns the grid of a name, of JSON, or of a file."""
    if text in grids.GRIDS:
        return grids.GRIDS[text]
    if text.endswith(recipe_fields.SUFFIXES):
        return recipe_fields.parse(text)
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(
            f"--grid should be one of {', '.join(grids.GRIDS)}, JSON, "
            f"or a file in {', '.join(recipe_fields.SUFFIXES)}. Received: "
            f"--grid={text}"
        ) from error


def measure(console, grid):
    """Writes the sizes alone."""
    image_size = FLAGS.image_size or IMAGE_SIZE
    classes = FLAGS.classes or CLASSES
    base = network.for_images(image_size, FLAGS.config)
    rows = grids.sizes(grids.points(grid, base), image_size, classes)
    with files.new_folder(FLAGS.out, FLAGS.overwrite) as folder:
        files.write_csv(folder / sweep.CSV_FILE, rows)
    terminal.print_table(console, table(rows, image_size, classes))
    terminal.print_path(console, f"\nWritten: {sweep.CSV_FILE} in", FLAGS.out)


def explore(console, grid):
    """Trains the points, and writes what they reached."""
    if FLAGS.classes is not None:
        raise ValueError(
            "--classes is for --notrain: networks are trained for those of "
            f"the data set. Received: --classes={FLAGS.classes}"
        )
    recipe = recipe_flags.make(FLAGS, training.RECIPES)
    with training_flags.resumable(FLAGS.out, sweep.JSON_FILE):
        found = sweep.explore(
            grid,
            dataset_flags.loader(FLAGS, recipe.seed, FLAGS.image_size),
            recipe,
            FLAGS.out,
            config=FLAGS.config,
            jobs=FLAGS.jobs,
            overwrite=FLAGS.overwrite,
            resume=FLAGS.resume,
            tensorboard=FLAGS.tensorboard,
            progress=terminal.ConsoleProgress(console),
        )
    write_picture(found)
    dataset = found["dataset"]
    terminal.print_table(
        console,
        table(found["points"], dataset["image_size"], dataset["classes"]),
    )
    files = (sweep.CSV_FILE, sweep.JSON_FILE, PICTURE_FILE)
    terminal.print_path(console, f"\nWritten: {', '.join(files)} in", FLAGS.out)
    require_none_failed(found)


def write_picture(found):
    from keras_squeezenet.report import plots

    points = found["points"]
    drawn = plots.exploration(points, grids.varied(points))
    with files.new_file(f"{FLAGS.out}/{PICTURE_FILE}") as temporary:
        output_flags.write_picture(temporary, drawn)


def require_none_failed(found):
    failed = found["failed"]
    if failed:
        raise RuntimeError(
            f"{len(failed)} of {len(found['points'])} points failed; the same "
            "command with --resume tries them again.\n"
            + "\n".join(f"{name}: {error}" for name, error in failed.items())
        )


def table(rows, image_size, classes):
    """Returns the sizes of points, and what they reached if it is known."""
    fields = grids.varied(rows) or grids.FIELDS[:5]
    is_trained = "test_accuracy" in rows[0]
    columns = (*fields, "parameters", "MiB", "million MACs")
    measured = ("validation", "test", "seconds") if is_trained else ()
    return report.Table(
        f"Design space, {image_size}x{image_size}, {classes:,} classes",
        (*columns, *measured),
        [
            (
                *(str(row[field]) for field in fields),
                f"{row['parameters']:,}",
                f"{row['mib']:.2f}",
                f"{row['macs'] / 1e6:,.1f}",
                *(_measured(row) if is_trained else ()),
            )
            for row in rows
        ],
    )


def _measured(row):
    if row["test_accuracy"] is None:
        return (report.NOTHING,) * 3
    return (
        f"{row['validation_accuracy']:.2%}",
        f"{row['test_accuracy']:.2%}",
        f"{row['seconds']:.1f}",
    )
