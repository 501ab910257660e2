"""Write the features of image files, or find the most similar ones.

IMAGE is a file, a folder (with its sub-folders), or a pattern such as
'photos/*.jpg'. Its features are the outputs of a module inside the network,
pooled over rows and columns: a vector for each image. A file that cannot be
read is named and skipped, and the command then ends with status 1.

--out writes the vectors: a .npz file has the arrays names and embeddings
(float32, a row for each image), a .csv file has a line for each image.
--similar_to prints the images that are most similar to another one, by the
cosine of their vectors.
"""

import heapq
import json
import os

from keras_squeezenet.cli import embedding_files
from keras_squeezenet.cli import photographs
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.utils.text import one_line

FLAGS = command_flags.CommandFlags("IMAGE...")

with FLAGS.group("Network"):
    network_flags.define_model(FLAGS, default="imagenet")
    network_flags.define_images(FLAGS)
    FLAGS.define(
        str,
        "layer",
        "fire9",
        "the Fire module, such as fire9, or the layer whose outputs are the "
        "features",
    )
    FLAGS.define(["avg", "max"], "pooling", "avg", "how they are pooled")
    FLAGS.define(int, "batch_size", 32, "images in a batch", 1)
with FLAGS.group("Output"):
    output_flags.define_file(
        FLAGS, "file for the vectors, which ends with .npz or .csv"
    )
    FLAGS.define(
        str, "similar_to", None, "an image whose most similar ones are printed"
    )
    FLAGS.define(int, "top", 5, "number of similar images to print", 1)
    output_flags.define_json(FLAGS)


def main(*arguments):
    if not FLAGS.out and not FLAGS.similar_to:
        raise ValueError(
            "--out=FILE or --similar_to=IMAGE must be given, or both. "
            "Received: neither"
        )
    output_flags.require_new_file(FLAGS, embedding_files.SUFFIXES)
    network_flags.require_layers(FLAGS.model, "embed")
    network_flags.require_config_used(FLAGS, FLAGS.model)
    paths = photographs.find(arguments)
    console = output_flags.make_console(FLAGS)
    network, embed = load()
    query = read_query(network, embed) if FLAGS.similar_to else None
    unreadable, nearest = {}, []
    progress = terminal.ConsoleProgress(console)
    steps = -(-len(paths) // FLAGS.batch_size)
    with (
        embedding_files.written(FLAGS.out) as write,
        progress.task("embed", steps) as advance,
    ):
        for squares in photographs.batches(
            network, paths, FLAGS.batch_size, unreadable
        ):
            vectors = embed(squares.values())
            write(squares, vectors)
            if query is not None:
                found = similarities(query, FLAGS.similar_to, squares, vectors)
                nearest = heapq.nlargest(
                    FLAGS.top, [*nearest, *found], lambda row: row[1]
                )
            advance()
    images = len(paths) - len(unreadable)
    show(console, images, nearest)
    photographs.require_all_read("embed", unreadable)


def load():
    """Return a `Classifier`, and a function from images to vectors."""
    import keras
    import numpy as np

    from keras_squeezenet import classifier
    from keras_squeezenet import feature_extraction
    from keras_squeezenet import metadata
    from keras_squeezenet import models
    from keras_squeezenet import normalizations

    flags = FLAGS.values_of("config", "image_size", "normalization")
    model = models.load(FLAGS.model, **flags)
    extractor = feature_extraction.features(
        model, [FLAGS.layer], pooling=FLAGS.pooling
    )
    if len(model.output_shape) == 4:
        # A network without its top: what reads images is a classifier.
        found = metadata.of(model)
        pooling = keras.layers.GlobalAveragePooling2D()
        model = keras.Model(model.input, pooling(model.output))
        metadata.attach(model, found)
    network = classifier.load(
        FLAGS.model, image_size=FLAGS.image_size, loaded=model
    )

    def embed(squares):
        images = np.stack(list(squares))
        normalized = normalizations.get(network.normalization).apply(images)
        outputs = extractor.predict_on_batch(normalized)[FLAGS.layer]
        return np.asarray(outputs, "float32")

    return network, embed


def read_query(network, embed):
    """Return the vector of the image of --similar_to."""
    unreadable = {}
    path = FLAGS.similar_to
    for squares in photographs.batches(network, [path], 1, unreadable):
        return embed(squares.values())[0]
    raise ValueError(
        "--similar_to must be an image. Received: --similar_to="
        f"{one_line(path)}: {one_line(unreadable[path])}"
    )


def similarities(query, query_path, paths, vectors):
    """Yield the path and the cosine similarity of each image but the query."""
    import numpy as np

    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    # Vectors of zeros are similar to nothing.
    cosines = vectors @ query / np.where(norms > 0, norms, 1)
    own = os.path.realpath(query_path)
    for path, cosine in zip(paths, cosines):
        if os.path.realpath(path) != own:
            yield path, float(cosine)


def show(console, images, nearest):
    if FLAGS.json:
        found = {
            **FLAGS.values_of("model", "layer", "out"),
            "images": images,
            "similar": [
                {"file": path, "similarity": cosine} for path, cosine in nearest
            ],
        }
        print(json.dumps(found, indent=2))
        return
    for path, cosine in nearest:
        terminal.print_line(console, f"{cosine:7.4f}  {one_line(path)}")
    if FLAGS.out:
        terminal.print_line(console, f"{images:,} vectors in {FLAGS.out}")
