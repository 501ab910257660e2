"""What a stage promised, measured on its result."""

import numpy as np

from keras_squeezenet.evaluation import kernel_statistics


class CheckError(RuntimeError):
    """A stage's result falls short of what the stage promised."""


def require_density(before, kernels, densities, stage):
    """Raises unless each kernel has the density that was asked for it.

    One weight more is allowed, for the rounding of the share to a number of
    weights. Fewer are not, they would be a layer that died; unless the kernel
    had so many zeros before.

    Args:
        before: dict of layer name to array, as the stage got them.
        kernels: dict of layer name to array.
        densities: dict of layer name to the target density, in (0, 1].
        stage: str, named in the error.

    Raises:
        CheckError: naming the layer, and both densities.
    """
    for name, density in densities.items():
        kept = np.count_nonzero(kernels[name])
        most = density * kernels[name].size
        least = min(most, np.count_nonzero(before[name]))
        if not least - 1 <= kept <= most + 1:
            raise CheckError(
                f"{stage}: layer {name!r} should keep {density:.2%} of its "
                f"weights. Measured: {kept / kernels[name].size:.2%}"
            )


def require_pattern(kernels, names, kept, group, stage):
    """Raises unless of each group of input channels at most some are used.

    Args:
        kernels: dict of layer name to array, input channels next to last.
        names: the layers to look at.
        kept: int, the weights that may be not zero.
        group: int, of so many neighbouring input channels.
        stage: str, named in the error.

    Raises:
        CheckError: naming the layer.
    """
    for name in names:
        kernel = kernels[name]
        groups = np.moveaxis(kernel, -2, -1).reshape(-1, group)
        worst = np.count_nonzero(groups, axis=1).max()
        if worst > kept:
            raise CheckError(
                f"{stage}: layer {name!r} should keep at most {kept} of every "
                f"{group} weights. Measured: {worst}"
            )


def require_zeros_kept(before, after, stage):
    """Raises unless every zero weight of `before` is zero in `after`."""
    for name, kernel in before.items():
        revived = np.count_nonzero(after[name][kernel == 0])
        if revived:
            raise CheckError(
                f"{stage}: layer {name!r} should keep its zero weights. "
                f"Measured: {revived} of {np.sum(kernel == 0)} are not zero "
                "any more"
            )


def require_distinct(kernels, limits, stage, per_channel=False):
    """Raises unless each kernel has at most its number of distinct values.

    Args:
        kernels: dict of layer name to array, output channels last.
        limits: dict of layer name to int.
        stage: str, named in the error.
        per_channel: bool, whether the limit holds within each output channel:
            int8 kernels have a scale a channel. Defaults to `False`.

    Raises:
        CheckError: naming the layer, and both numbers.
    """
    for name, limit in limits.items():
        measured = kernel_statistics.measure(kernels[name])
        if per_channel:
            where, count = " a channel", measured.distinct_per_channel
        else:
            where, count = "", measured.distinct
        if count > limit:
            raise CheckError(
                f"{stage}: layer {name!r} should have at most {limit} "
                f"distinct values{where}. Measured: {count}"
            )


def require_equal(expected, received, tolerance, what):
    """Raises unless two arrays agree within an absolute tolerance."""
    difference = float(np.max(np.abs(expected - received)))
    # Not `difference > tolerance`, which NaN would pass.
    if not difference <= tolerance:
        raise CheckError(
            f"{what} should give the same outputs as its model, within "
            f"{tolerance}. Measured: a difference of {difference}"
        )
    return difference
