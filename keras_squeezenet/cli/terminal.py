"""Progress, tables and messages on a terminal."""

import contextlib
import os
import shlex
import time

from keras_squeezenet.cli import interrupts
from keras_squeezenet.utils import progress

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
                    count=f"{done}/{steps}" if steps else f"{done}",
                    metrics=metrics,
                )

            yield advance
            interrupts.check()
            if steps is None:
                bars.update(bar, total=1, completed=1)
        if not self.console.is_terminal:
            seconds = time.monotonic() - started
            self.console.print(f"{name:17} {metrics:28} {seconds:6.1f} s")


def format_metrics(values: dict) -> str:
    """Return text such as `"loss 0.1234 accuracy 98.76%"`."""
    return " ".join(
        f"{name} {_format_metric(name, value)}"
        for name, value in values.items()
    )


def _format_metric(name, value):
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.2%}" if name in SHARES else f"{value:.4f}"


def print_table(console, table):
    """Print a `report.Table`."""
    import rich.box
    import rich.table

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
    """Return a path as text; the name of a file need not be Unicode."""
    return path.encode("utf-8", "backslashreplace").decode()


def print_header(console, model, dataset):
    """Print what is trained on what: a `keras.Model` and an `ImageDataset`."""
    console.print(
        f"{model.name}, {model.count_params():,} parameters, on "
        f"{dataset.name}: {len(dataset.class_names)} classes, images of "
        f"{dataset.image_size}x{dataset.image_size}: {dataset.train_size:,} "
        f"training, {dataset.validation_size:,} validation, "
        f"{dataset.test_size:,} test"
    )
    for path in dataset.skipped:
        print_path(console, "skipped, cannot be read:", path)


def print_path(console, text, path):
    """Print a path behind a text, on one line however long it is."""
    console.print(f"{text} {printable(path)}", soft_wrap=True)


def print_next(console, *commands):
    """Print the commands that are useful now.

    Args:
        console: `rich.console.Console`.
        *commands: lists of the arguments of `keras-squeezenet`, which are
            quoted for a shell.
    """
    for arguments in commands:
        command = shlex.join(["keras-squeezenet", *map(str, arguments)])
        print_path(console, "Next:", command)


def data_arguments(flag_values, *more):
    """Return the flags that name the same images in another command.

    Args:
        flag_values: `CommandFlags` of the command.
        *more: names of flags besides `--dataset` and `--data_dir`.
    """
    return [
        f"--{name}={flag_values[name].value}"
        for name in ("dataset", "data_dir", *more)
        if flag_values[name].value is not None
    ]


def print_trained(console, flag_values, names):
    """Print what a training wrote, and what can be done with it.

    Args:
        console: `rich.console.Console`.
        flag_values: of the command, with the flags of `dataset_flags` and
            `--out`.
        names: names of the files in `--out`, a `.keras` model first.
    """
    out = flag_values["out"].value
    model = os.path.join(out, names[0])
    data = data_arguments(flag_values, "image_size")
    console.print()
    print_path(console, f"Written: {', '.join(names)} in", out)
    small = os.path.join(out, "small")
    print_next(
        console,
        ["predict", "PHOTOGRAPHS", f"--model={model}"],
        ["compress", model, *data, f"--out={small}"],
    )
