"""Sweeps that train every network of a grid and compare sizes and accuracies.

KerasTuner does not fit: its tuners search for the best trial by one objective,
and start a killed trial again, which `training.train` resumes bit for bit. It
also needs a chief process, and workers with addresses.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import json
import multiprocessing
import os
import pathlib
import signal
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence

import keras

from keras_squeezenet import architecture
from keras_squeezenet import squeezenet
from keras_squeezenet import training
from keras_squeezenet.data import image_dataset
from keras_squeezenet.exploration import grids
from keras_squeezenet.training import network
from keras_squeezenet.training import training_run
from keras_squeezenet.utils import files
from keras_squeezenet.utils import ownership
from keras_squeezenet.utils import signals
from keras_squeezenet.utils import staging
from keras_squeezenet.utils.progress import Progress

CSV_FILE = "exploration.csv"
JSON_FILE = "exploration.json"
POINTS_FOLDER = "points"
MEASURED = ("validation_accuracy", "test_accuracy", "seconds")


def explore(
    grid: Mapping | Sequence[Mapping],
    load: Callable[[], image_dataset.ImageDataset],
    recipe: training.Recipe | None = None,
    out: str | os.PathLike = "squeezenet_explored",
    *,
    config: architecture.SqueezeNetConfig | str = "1.0",
    jobs: int = 1,
    overwrite: bool = False,
    resume: bool = False,
    tensorboard: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> dict:
    """Train every point of a grid of networks, from the same seed.

    `exploration.csv` and `exploration.json` are written to `out` at the start
    and after each point, each whole or not at all. Each point is a run of
    `training.train` in its own folder below `out/points`, whose checkpoint is
    removed when it ends. The sweep continues after a point that fails.

    Args:
        grid: as in `points`.
        load: function without arguments that returns the `data.ImageDataset`,
            such as `functools.partial(data.load, "cifar10")`. With `jobs`,
            other processes call it, so pickle must be able to serialize it.
        recipe: that of every point. Defaults to `Recipe()`.
        out: the output folder.
        config: the base network, which sets all fields that are not in the
            grid and is adapted to the images.
        jobs: the number of points to train at once, each in its own process
            with its share of the cores; 1 is one after the other, in this one.
        overwrite, tensorboard, progress: as in `training.train`. The logs of
            each point have their own folder.
        resume: whether to resume an earlier sweep. Finished points are not
            trained again, and new points of the grid are added.

    Returns:
        A dict: `dataset`, `config` and `recipe`; `points`, a list of a dict
        for each point: what `sizes` returns, `validation_accuracy` and
        `test_accuracy` of its best epoch, and the `seconds` of its training,
        all `None` if it failed; and `failed`, a dict of the names of the
        failed points to their error messages.

    Raises:
        ValueError: if a point of the grid is not a network, or the sweep to
            resume had other images, another `config` or `recipe`.
        FileExistsError: if the output folder is not empty.
    """
    if not isinstance(jobs, int) or jobs < 1:
        raise ValueError(
            f"`jobs` must be a positive integer. Received: jobs={jobs!r}"
        )
    recipe = recipe or training.Recipe()
    out = pathlib.Path(out).expanduser()
    with ownership.own(out):
        files.require_resumable(out, JSON_FILE, overwrite, resume)
        dataset = load()
        classes = len(dataset.class_names)
        base = network.for_images(dataset.image_size, config)
        points = grids.points(grid, base)
        exploration = _Exploration(
            out,
            {
                "dataset": {
                    "name": dataset.name,
                    "image_size": dataset.image_size,
                    "classes": classes,
                    "train_images": dataset.train_size,
                    "test_images": dataset.test_size,
                },
                "config": dataclasses.asdict(base),
                "recipe": dataclasses.asdict(recipe),
            },
            grids.sizes(points, dataset.image_size, classes),
        )
        exploration.begin(resume)
        train = functools.partial(
            _train, recipe=recipe, out=exploration.out, tensorboard=tensorboard
        )
        left = [
            point
            for point in points
            if not _is_done(exploration.rows[point.name])
        ]
        if jobs == 1:
            outcomes = _one_by_one(train, left, dataset, progress or Progress())
        else:
            outcomes = _at_once(train, left, load, jobs, progress or Progress())
        # Ctrl-C must close the generator at once, not when it is collected.
        with contextlib.ExitStack() as stack:
            stack.callback(exploration.sweep)
            stack.enter_context(contextlib.closing(outcomes))
            for name, outcome in outcomes:
                exploration.keep(name, outcome)
        return exploration.report()


def point_folder(out, name):
    """Return the folder of a point, whose name may have brackets and spaces."""
    kept = [char for char in name if char.isalnum() or char in "_=.,-"]
    return pathlib.Path(out) / POINTS_FOLDER / "".join(kept)


class _Exploration:
    def __init__(self, out, identity, rows):
        self.out = out
        # As it is read from JSON, to be compared with it.
        self.identity = json.loads(json.dumps(identity))
        self.rows = {
            row["name"]: {**row, **dict.fromkeys(MEASURED)} for row in rows
        }
        self.failed = {}

    def begin(self, resume):
        """Take over finished points, or remove those of an earlier sweep."""
        if resume and (self.out / JSON_FILE).exists():
            self._take_over()
        else:
            files.sweep(self.out, (POINTS_FOLDER,))
        self.sweep()
        self._write()

    def sweep(self):
        """Remove files of killed processes from the folders of the points."""
        for folder in self.out.glob(f"{POINTS_FOLDER}/*"):
            staging.sweep(folder)

    def _take_over(self):
        path = self.out / JSON_FILE
        earlier = files.read_json(path)
        with files.as_value_error(f"{path} is damaged"):
            before = {key: earlier[key] for key in self.identity}
            done = [row for row in earlier["points"] if _is_done(row)]
            done = {row["name"]: row for row in done}
        for key, value in self.identity.items():
            if before[key] != value:
                raise ValueError(
                    f"the sweep in {self.out} must be resumed with its own "
                    f"{key}: {before[key]}. Received: {value}. Pass "
                    "--overwrite (overwrite=True) to start again."
                )
        self.rows.update(done)

    def keep(self, name, outcome):
        if isinstance(outcome, Exception):
            self.failed[name] = f"{type(outcome).__name__}: {outcome}"
        else:
            self.rows[name].update(outcome)
        with signals.uninterrupted():
            self._write()
        if _is_done(self.rows[name]):
            # The checkpoint is several times as large as the model.
            last = point_folder(self.out, name) / training_run.LAST_FILE
            last.unlink(missing_ok=True)

    def _write(self):
        report = self.report()
        files.write_csv(self.out / CSV_FILE, report["points"])
        files.write_json(self.out / JSON_FILE, report)

    def report(self):
        return {
            **self.identity,
            "points": list(self.rows.values()),
            "failed": self.failed,
        }


def _is_done(row):
    return row["validation_accuracy"] is not None


def _train(point, dataset, recipe, out, tensorboard, progress):
    keras.utils.set_random_seed(recipe.seed)
    side = dataset.image_size
    model = squeezenet.SqueezeNet(
        weights=None,
        input_shape=(side, side, 3),
        classes=len(dataset.class_names),
        config=point.config,
    )
    folder = point_folder(out, point.name)
    result = training.train(
        model,
        dataset,
        recipe=recipe,
        out=folder,
        resume=True,
        tensorboard=tensorboard and os.path.join(tensorboard, folder.name),
        progress=progress,
    )
    return {key: getattr(result, key) for key in MEASURED}


class _Numbered(Progress):
    def __init__(self, progress, prefix):
        self.progress = progress
        self.prefix = prefix

    def task(self, name, steps):
        return self.progress.task(f"{self.prefix} {name}", steps)


def _one_by_one(train, points, dataset, progress):
    """Yield the name of each point, and its result or its error."""
    for number, point in enumerate(points, 1):
        numbered = _Numbered(progress, f"{number}/{len(points)}")
        try:
            outcome = train(point, dataset, progress=numbered)
        except Exception as error:
            outcome = error
        yield point.name, outcome


def _at_once(train, points, load, jobs, progress):
    """Yield the same, in the order of completion, with `jobs` points at a time.

    Each point has its own process: if one is killed, for example for lack of
    memory, the others are not affected. Ctrl-C, or the end of this process,
    ends all of them at once; each can be resumed from its last
    checkpoint.
    """
    others = multiprocessing.active_children()
    work = functools.partial(_train_loaded, train, load)
    cores = max(1, os.cpu_count() // jobs)
    with (
        progress.task("points", len(points)) as advance,
        concurrent.futures.ThreadPoolExecutor(jobs) as threads,
    ):
        futures = {
            threads.submit(_in_a_process, cores, work, point): point.name
            for point in points
        }
        try:
            for future in concurrent.futures.as_completed(futures):
                outcome = future.exception() or future.result()
                yield futures[future], outcome
                advance()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in futures):
                for child in multiprocessing.active_children():
                    if child not in others:
                        child.terminate()
                concurrent.futures.wait(futures, timeout=0.1)
            raise


def _in_a_process(cores, work, point):
    with concurrent.futures.ProcessPoolExecutor(
        1,
        # TensorFlow's threads do not survive a fork.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin_process,
        initargs=(cores,),
    ) as process:
        return process.submit(work, point).result()


def _begin_process(cores):
    signals.end_with_parent()
    # The parent also gets the signals of a terminal, and ends this process.
    for number in signals.STOPS:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(cores)


def _train_loaded(train, load, point):
    return train(point, load(), progress=Progress())
