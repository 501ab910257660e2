"""Checks on the result of a stage."""

import keras
import numpy as np

from keras_squeezenet.evaluation import kernel_statistics


class CheckError(RuntimeError):
    """The result of a stage, or an artifact, misses a target."""


class TargetError(ValueError):
    """The network cannot reach a target of the recipe."""

    status = "target_missed"


def require_density(before, kernels, densities, stage):
    """Raise a `CheckError` unless each kernel has its target density.

    A difference of one weight is allowed, for rounding. A kernel may have fewer
    weights only if it had as few before the stage: otherwise its layer died.
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
    """Raise a `CheckError` unless each group of weights has enough zeros.

    At most `kept` of the weights of every `group` of neighboring input channels
    may be nonzero, in the kernels of the given names.
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
    """Raise a `CheckError` unless the zeros of `before` are zero in `after`."""
    for name, kernel in before.items():
        revived = np.count_nonzero(after[name][kernel == 0])
        if revived:
            raise CheckError(
                f"{stage}: layer {name!r} must keep its zero weights. "
                f"Measured: {revived} of {np.sum(kernel == 0)} are nonzero"
            )


def require_distinct(kernels, limits, stage, per_channel=False):
    """Raise a `CheckError` unless each kernel has few enough distinct values.

    With `per_channel` the limit holds for each output channel, the last axis:
    int8 kernels have a scale for each.
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


def require_measured(expected, received, stage):
    """Raise a `CheckError` unless the file has the divergence that was found.

    `expected` was measured before the file was written, and `received` with the
    model that it decodes to.
    """
    if not abs(expected - received) <= 1e-6:
        raise CheckError(
            f"{stage}: the file must decode to the model that was measured. "
            f"Measured: a divergence of {received}, and {expected} before"
        )


def require_same_weights(model, decoded, what):
    """Raise a `CheckError` unless two models have the same weights, bit by bit.

    Their layers are in the same order.
    """
    for one, other in zip(model.weights, decoded.weights, strict=True):
        one, other = map(keras.ops.convert_to_numpy, (one, other))
        if not np.array_equal(one, other):
            raise CheckError(
                f"{what} must decode to the weights of its model. Measured: "
                f"{np.sum(one != other)} of {one.size} weights that differ"
            )


def require_equal(expected, received, tolerance, what):
    """Raise a `CheckError` unless arrays agree within an absolute tolerance."""
    difference = float(np.max(np.abs(expected - received)))
    # Not `difference > tolerance`, which NaN would pass.
    if not difference <= tolerance:
        raise CheckError(
            f"{what} must give the same outputs as its model, within "
            f"{tolerance}. Measured: a difference of {difference}"
        )
    return difference
