"""Plots of where a network looks, for `predict --explain` and `evaluate`."""

import contextlib
import logging
import os
import pathlib

from keras_squeezenet.utils import files

# Classes of one photograph that are shown, of those that are printed.
CLASSES = 3
QUALITY = 90

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def written(network, paths, out, overwrite):
    """Yield a function of `{path: square}` and of the results of a batch.

    It writes a plot for each photograph, and adds its path to the result.
    The numbers in the names keep photographs of one name apart.
    """
    import numpy as np

    from keras_squeezenet.evaluation import class_activation
    from keras_squeezenet.report import heat_map_panel

    explainer = class_activation.Explainer(network.model)
    numbers = {path: number for number, path in enumerate(paths, start=1)}
    digits = len(str(len(paths)))

    def explain(squares, results):
        images = np.stack(list(squares.values()))
        classes = [
            [row["index"] for row in result["predictions"][:CLASSES]]
            for result in results
        ]
        normalized = _normalized(network, images)
        maps = explainer.maps(normalized, classes, upsample=True)
        for image, found, result in zip(images, maps, results):
            number = numbers[result["file"]]
            name = f"{number:0{digits}}_{_stem(result['file'])}.jpg"
            panel = heat_map_panel.draw(image, found, _captions(result))
            # Full color, which texts need.
            panel.save(folder / name, quality=QUALITY, subsampling=0)
            result["explanation"] = os.path.join(out, name)

    with files.new_folder(out, overwrite) as folder:
        yield explain


def write_samples(path, network, result):
    """Write the samples of an `EvaluationResult` with their heat maps.

    Each is shown with the map of its predicted class, and with that of its own
    class, or of the second most probable one if these are the same. Nothing is
    written for a network with a head that cannot be explained.
    """
    import numpy as np

    from keras_squeezenet import imagenet
    from keras_squeezenet.evaluation import class_activation
    from keras_squeezenet.report import heat_map_panel

    outputs = result.outputs
    images = np.stack(list(result.samples.values()))
    places = list(result.samples)
    classes = []
    for place in places:
        first, *others = imagenet.best(outputs.probabilities[place], 2)
        label = outputs.labels[place]
        classes.append([first, label] if label != first else [first, *others])
    try:
        explainer = class_activation.Explainer(network.model)
    except ValueError as error:
        logger.info("There is no %s: %s", path.name, error)
        return
    maps = explainer.maps(_normalized(network, images), classes, upsample=True)
    panels = []
    for image, found, place, shown in zip(images, maps, places, classes):
        names = [result.classes[index][1].replace("_", " ") for index in shown]
        shares = outputs.probabilities[place][shown]
        captions = [(n, f"{p:.1%}") for n, p in zip(names, shares)]
        label = result.classes[outputs.labels[place]][1].replace("_", " ")
        panels.append(heat_map_panel.draw(image, found, captions, label))
    sheet = heat_map_panel.sheet(panels)
    sheet.save(path, quality=QUALITY, subsampling=0)


def _normalized(network, images):
    from keras_squeezenet import normalizations

    return normalizations.get(network.normalization).apply(images)


def _stem(path):
    """Return the name of a file without its suffix, as any system allows it."""
    stem = pathlib.Path(path).stem
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in stem)[:100]


def _captions(result):
    return [
        (row["label"].replace("_", " "), f"{row['probability']:.1%}")
        for row in result["predictions"][:CLASSES]
    ]
