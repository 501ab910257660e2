"""Checks of the result of a stage."""

import numpy as np

from keras_squeezenet.evaluation import kernel_statistics


class CheckError(RuntimeError):
    """The result of a stage misses one of its targets."""


def require_density(before, kernels, densities, stage):
    """Raise unless each kernel has its target density.

    A difference of one weight is allowed, for rounding. A kernel may have
    fewer weights if it had as many zeros before the stage; otherwise the layer
    has died.

    Args:
        before: dict of layer name to array, before the stage.
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
                f"{stage}: layer {name!r} must keep {density:.2%} of its "
                f"weights. Measured: {kept / kernels[name].size:.2%}"
            )


def require_pattern(kernels, names, kept, group, stage):
    """Raise unless each group of input channels has enough zeros.

    Args:
        kernels: dict of layer name to array, input channels next to last.
        names: names of the layers to check.
        kept: int, the number of weights of a group that may be nonzero.
        group: int, the number of neighboring input channels in a group.
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
                f"{stage}: layer {name!r} must keep at most {kept} of every "
                f"{group} weights. Measured: {worst}"
            )


def require_zeros_kept(before, after, stage):
    """Raise unless every zero weight of `before` is zero in `after`."""
    for name, kernel in before.items():
        revived = np.count_nonzero(after[name][kernel == 0])
        if revived:
            raise CheckError(
                f"{stage}: layer {name!r} must keep its zero weights. "
                f"Measured: {revived} of {np.sum(kernel == 0)} are nonzero"
            )


def require_distinct(kernels, limits, stage, per_channel=False):
    """Raise unless each kernel has at most its number of distinct values.

    Args:
        kernels: dict of layer name to array, output channels last.
        limits: dict of layer name to int.
        stage: str, named in the error.
        per_channel: bool, whether the limit is that of each output channel:
            int8 kernels have a scale for each. Defaults to `False`.

    Raises:
        CheckError: naming the layer, and both numbers.
    """
    for name, limit in limits.items():
        measured = kernel_statistics.measure(kernels[name])
        if per_channel:
            where, count = " per channel", measured.distinct_per_channel
        else:
            where, count = "", measured.distinct
        if count > limit:
            raise CheckError(
                f"{stage}: layer {name!r} must have at most {limit} "
                f"distinct values{where}. Measured: {count}"
            )


def require_equal(expected, received, tolerance, what):
    """Raise unless two arrays agree within an absolute tolerance."""
    difference = float(np.max(np.abs(expected - received)))
    # Not `difference > tolerance`, which NaN would pass.
    if not difference <= tolerance:
        raise CheckError(
            f"{what} must give the same outputs as its model, within "
            f"{tolerance}. Measured: a difference of {difference}"
        )
    return difference
