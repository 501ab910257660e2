"""Progress bars and tables on a terminal."""

import contextlib
import os
import time

import rich.box
import rich.console
import rich.progress
import rich.table

from keras_squeezenet.cli import interrupts
from keras_squeezenet.utils import progress


class ConsoleProgress(progress.Progress):
    """A bar a task; where there is no terminal, a line when it is done."""

    def __init__(self, console):
        self.console = console

    @contextlib.contextmanager
    def task(self, name, steps):
        bars = rich.progress.Progress(
            rich.progress.TextColumn("{task.description:17}"),
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
            done = 0

            def advance(**values):
                nonlocal done, metrics
                interrupts.check()
                done += 1
                metrics = format_metrics(values)
                bars.update(
                    bar,
                    completed=done,
                    count=f"{done}/{steps}",
                    metrics=metrics,
                )

            yield advance
            interrupts.check()
            if steps is None:
                bars.update(bar, total=1, completed=1)
        if not self.console.is_terminal:
            seconds = time.monotonic() - started
            self.console.print(f"{name:17} {metrics:28} {seconds:6.1f} s")


def format_metrics(values):
    """Returns `"loss 0.1234 accuracy 0.9876"`."""
    return " ".join(f"{name} {value:.4f}" for name, value in values.items())


def print_table(console, table):
    """Prints a `report.Table`."""
    shown = rich.table.Table(
        title=table.title,
        title_justify="left",
        title_style="bold",
        box=rich.box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    for index, column in enumerate(table.columns):
        shown.add_column(
            column, justify="right" if index else "left", no_wrap=index < 2
        )
    for row in table.rows:
        shown.add_row(*row)
    console.print()
    console.print(shown)


def printable(path):
    """Returns a path as text; a file name need not be Unicode."""
    return path.encode("utf-8", "backslashreplace").decode()


def print_header(console, model, dataset):
    """Says what is trained on what: `keras.Model` and `ImageDataset`."""
    console.print(
        f"{model.name}, {model.count_params():,} parameters, on "
        f"{dataset.name}: {len(dataset.class_names)} classes, images of "
        f"{dataset.image_size}x{dataset.image_size}: "
        f"{dataset.train_size:,} to train on, {dataset.validation_size:,} to "
        f"choose by, {dataset.test_size:,} to test on"
    )
    for path in dataset.skipped:
        print_path(console, "skipped, could not be read:", path)


def print_path(console, text, path):
    """Prints a path behind a text, in one line however long it is."""
    console.print(f"{text} {printable(path)}", soft_wrap=True)


def print_trained(console, flag_values, files):
    """Says what a training wrote, and what can be done with it.

    Args:
        console: `rich.console.Console`.
        flag_values: of the command, which has the flags of `datasets` and
            `--out`.
        files: names of the files in `--out`, a `.keras` model the first.
    """
    out, dataset, data_dir = (
        flag_values[name].value for name in ("out", "dataset", "data_dir")
    )
    path = os.path.join(out, files[0])
    source = f"--dataset={dataset}"
    if data_dir:
        source += f" --data_dir={data_dir}"
    console.print()
    print_path(console, f"Written: {', '.join(files)} in", out)
    for command in (
        f"compress --model={path} {source}",
        f"predict --weights={path} PHOTOGRAPHS",
    ):
        print_path(console, "Next: keras-squeezenet", command)
