"""Progress, tables and messages on a terminal."""

import contextlib
import itertools
import os
import shlex
import time

from keras_squeezenet.cli import interrupts
from keras_squeezenet.data import catalog
from keras_squeezenet.utils import progress
from keras_squeezenet.utils.text import one_line
from keras_squeezenet.utils.text import printable

# Metrics that are shares of images, and are shown as percentages.
SHARES = ("accuracy", "agreement", "validation")


def make_console(**options):
    """Return a `rich.console.Console` that prints text as it is."""
    import rich.console

    return rich.console.Console(markup=False, highlight=False, **options)


class ConsoleProgress(progress.Progress):
    """A progress bar for each task; without a terminal, a line at its end."""

    def __init__(self, console):
        self.console = console

    @contextlib.contextmanager
    def task(self, name, steps):
        import rich.progress

        bars = rich.progress.Progress(
            rich.progress.TextColumn("{task.description:18}"),
            rich.progress.BarColumn(bar_width=14),
            rich.progress.TextColumn("{task.fields[count]:>9}"),
            rich.progress.TextColumn("{task.fields[metrics]:28}"),
            rich.progress.TimeRemainingColumn(
                compact=True, elapsed_when_finished=True
            ),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        interrupts.check()
        started = time.monotonic()
        metrics = ""
        with bars:
            bar = bars.add_task(name, total=steps, count="", metrics="")
            counter = itertools.count(1)

            def advance(**values):
                nonlocal metrics
                interrupts.check()
                done = next(counter)
                metrics = format_metrics(values)
                count = f"{done}/{steps}" if steps else f"{done}"
                bars.update(bar, completed=done, count=count, metrics=metrics)

            yield advance
            interrupts.check()
            if steps is None:
                bars.update(bar, total=1, completed=1)
        if not self.console.is_terminal:
            seconds = time.monotonic() - started
            self.console.print(f"{name:18} {metrics:28} {seconds:6.1f} s")


def format_metrics(values: dict) -> str:
    """Return text such as `"loss 0.1234 accuracy 98.76%"`."""
    texts = []
    for name, value in values.items():
        form = ".2%" if name in SHARES else ".4f"
        if isinstance(value, int):
            form = ","
        texts.append(f"{name} {value:{form}}")
    return " ".join(texts)


def print_table(console, table):
    import rich.box
    import rich.table

    shown = rich.table.Table(
        title=one_line(table.title),
        title_justify="left",
        title_style="bold",
        box=rich.box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    for index, column in enumerate(table.columns):
        shown.add_column(
            one_line(column),
            justify="right" if index else "left",
            no_wrap=index < 2,
        )
    for row in table.rows:
        shown.add_row(*map(one_line, row))
    console.print()
    console.print(shown)


def print_header(console, model, dataset):
    """Print what is trained on what: a `keras.Model` and an `ImageDataset`."""
    classes = f"{len(dataset.class_names)} classes, images"
    if not dataset.is_labeled:
        classes = "images without labels"
    console.print(
        f"{one_line(model.name)}, {model.count_params():,} parameters, on "
        f"{one_line(dataset.name)}: {classes} "
        f"of {dataset.image_size}x{dataset.image_size}: {dataset.train_size:,} "
        f"training, {dataset.validation_size:,} validation, "
        f"{dataset.test_size:,} test"
    )
    origins = [
        f"the {name} set is {dataset.origins[split]}"
        for split, name in catalog.SETS.items()
        if split in dataset.origins
    ]
    if origins:
        text = "; ".join(origins)
        print_line(console, f"{text[0].upper()}{text[1:]}.")
    for path in dataset.skipped:
        print_line(console, f"skipped, cannot be read: {path}")


def print_line(console, text):
    """Print a text with paths on one line, however long it is."""
    console.print(printable(text), soft_wrap=True)


def print_next(console, *commands):
    """Print useful commands, lists of arguments, quoted for a shell."""
    for arguments in commands:
        command = shlex.join(["keras-squeezenet", *map(str, arguments)])
        print_line(console, f"Next: {command}")


def data_arguments(flag_values, *more, seed=0):
    """Return the flags that name the same images in another command.

    With the `seed` of their split, no training image is a test image there.
    """
    found = [
        f"--{name}={flag_values[name].value}"
        for name in ("dataset", "data_dir", *more)
        if flag_values[name].value is not None
    ]
    if flag_values["skip_bad_images"].value:
        found.append("--skip_bad_images")
    return [*found, f"--seed={seed}"] if seed else found


def print_trained(console, flag_values, names, seed=0, several_labels=None):
    """Print what training wrote, a model first, and what can be done now.

    A network of several labels can be evaluated, and not compressed.
    """
    out = flag_values["out"].value
    model, small = (os.path.join(out, name) for name in (names[0], "small"))
    data = data_arguments(flag_values, "image_size", seed=seed)
    print_line(console, f"\nWritten: {', '.join(names)} in {out}")
    following = ["compress", model, *data, f"--out={small}"]
    if several_labels:
        data = data_arguments(flag_values, seed=seed)
        following = ["evaluate", model, *data]
    print_next(
        console, ["predict", "PHOTOGRAPHS", f"--model={model}"], following
    )
