"""A report as Markdown, and the sentences it shares with the HTML page."""

from keras_squeezenet.report.tables import tables

LEGEND = (
    "Accuracy is the share of the {images} whose most probable class is "
    "theirs. The bytes of a stage are those of its float32 weights, as they "
    "are, gzipped, and as Deep Compression counts them: codes and relative "
    "indices in Huffman's code, codebooks, and biases as they are. Density is "
    "the share of kernel weights that are not zero; values are the distinct "
    "ones of a kernel, zero included, and bits are those of a code for one of "
    "them. The paper's densities are table 1's. In int8 values are counted "
    "within an output channel, which has a scale of its own. Agreement is the "
    "share of images with the same most probable class as the model has that "
    "a file was made from, the one in 8-bit training for int8 and "
    "saved_model_qat, and the difference is the largest of any "
    "probability."
)


def markdown(report):
    """Returns a report as Markdown."""
    lines = [f"# {title(report)}", "", summary(report)]
    if report["message"]:
        lines += ["", f"**Accuracy was lost**: {report['message']}"]
    lines += ["", legend(report)]
    for table in tables(report):
        lines += ["", f"## {table.title}", "", *_rows(table)]
    lines += ["", "## How it was made", "", made_with(report), ""]
    return "\n".join(lines)


def title(report):
    return f"{report['model']['name']} on {report['dataset']['name']}"


def summary(report):
    """Returns a sentence on the network and the images."""
    dataset = report["dataset"]
    height, width, _ = report["model"]["input_shape"]
    skipped = len(dataset["skipped_images"])
    return (
        f"{report['model']['parameters']:,} parameters, "
        f"{len(dataset['classes'])} classes, images of {height}x{width} "
        f"pixels: {dataset['train_images']:,} to train on, "
        f"{dataset['validation_images']:,} to choose by"
        + (
            f", {dataset['test_images']:,} to test on"
            if dataset["test_images"]
            else " and to test on"
        )
        + (
            f"; {skipped:,} could not be read and "
            f"{'was' if skipped == 1 else 'were'} left out."
            if skipped
            else "."
        )
    )


def legend(report):
    """Returns what the columns of the tables mean."""
    tested = report["dataset"]["test_images"]
    return LEGEND.format(
        images="test images" if tested else "validation images"
    )


def made_with(report):
    """Returns the recipe and the environment, in a sentence each."""
    environment = report["environment"]
    recipe = ", ".join(
        f"{name} {_setting(value)}" for name, value in report["recipe"].items()
    )
    packages = ", ".join(
        f"{name} {version}" for name, version in environment["packages"].items()
    )
    return (
        f"Recipe: {recipe}.\n\nPython {environment['python']} on "
        f"{environment['machine']}, {environment['cores']} cores; {packages}."
    )


def _setting(value):
    if isinstance(value, dict):
        return " ".join(f"`{key}`:{number}" for key, number in value.items())
    if isinstance(value, list):
        return " ".join(value) or "none"
    return "none" if value is None else str(value)


def _rows(table):
    yield f"| {' | '.join(table.columns)} |"
    yield f"|---|{'---:|' * (len(table.columns) - 1)}"
    for row in table.rows:
        yield f"| {' | '.join(row)} |"
