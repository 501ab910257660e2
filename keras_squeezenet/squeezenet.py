"""SqueezeNet models for Keras, with the conventions of `keras.applications`."""

import os
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers
from keras.applications import imagenet_utils

from keras_squeezenet import architecture
from keras_squeezenet import imagenet
from keras_squeezenet import pretrained
from keras_squeezenet.pretrained import hub
from keras_squeezenet.pretrained import registry
from keras_squeezenet.utils import suggestions

# The initial bias of a conv10 with a ReLU, the same for all classes. With the
# authors' 0, the outputs of a class may soon be negative for all images, and
# then never get a gradient again.
CONV10_BIAS = keras.initializers.Constant(3.0)


def SqueezeNet(
    include_top: bool = True,
    weights: str | os.PathLike | None = "imagenet",
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | Callable | None = "softmax",
    name: str = "squeezenet",
    *,
    config: architecture.SqueezeNetConfig | str = "1.1",
) -> keras.Model:
    """Instantiate a SqueezeNet, v1.1 by default.

    Reference:
    - [SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB
      model size](https://arxiv.org/abs/1602.07360) (Iandola et al., 2016)

    The default input size is 227x227, as in the authors' prototxts. The
    network is fully convolutional: with `include_top=True` any static size
    from the minimum up is allowed, with pretrained weights too.

    Note: each Keras Application expects a specific kind of input
    preprocessing. Call `keras_squeezenet.preprocess_input` on images with
    values from 0 to 255: it converts them from RGB to BGR and subtracts the
    mean of each channel over ImageNet, without scaling.

    Args:
        include_top: whether to include the classifier: dropout, `conv10`,
            global average pooling and `predictions`. Defaults to `True`.
        weights: one of `None` (random initialization), `"imagenet"`
            (pre-training on ImageNet by the authors of the variant), other
            pre-training on ImageNet (`"imagenet_imgclsmob"` for every variant
            but the complex bypass, the most accurate for v1.1;
            `"imagenet_torchvision"` for v1.0 and v1.1; `"imagenet_dsd"` and
            `"imagenet_deep_compression"` for v1.0), `"cifar10"` (this
            project's v1.1 for images of 32x32, which comes with the package),
            an address on the Hugging Face hub,
            `"hf://owner/name[/file][@revision]"`, or the path to the weights
            file to be loaded: `.weights.h5`, `.keras`, `.sqz`, `.h5`, `.npz`,
            `.caffemodel`, `.pth`, or the `.net` of Deep Compression. All
            weights take the output of `preprocess_input`. Defaults to
            `"imagenet"`.
        input_tensor: optional Keras tensor (i.e. output of `layers.Input()`)
            to use as image input for the model.
        input_shape: optional shape tuple of three integers, in the order of
            `keras.config.image_data_format()`. With `include_top=False` the
            sides may be `None`. Defaults to `(227, 227, 3)`, or `(32, 32, 3)`
            with `"cifar10"`, with `include_top=True`, and to `(None, None,
            3)` without.
        pooling: optional pooling mode for feature extraction when
            `include_top` is `False`.
            - `None` means that the output of the model will be the 4D tensor
                output of the last Fire module.
            - `"avg"` means that global average pooling will be applied to
                it, and thus the output of the model will be a 2D tensor.
            - `"max"` means that global max pooling will be applied.
        classes: int, the number of classes to classify images into, only to
            be specified if `include_top` is `True`. With pretrained weights
            and the classifier it is 1000, or 10 with `"cifar10"`. Defaults to
            `1000`.
        classifier_activation: a `str` or callable. The activation function
            of the `predictions` layer. Ignored unless `include_top=True`. Set
            `classifier_activation=None` to return the logits. When loading
            pretrained weights, it can only be `None` or `"softmax"`. Defaults
            to `"softmax"`.
        name: the name of the model. Defaults to `"squeezenet"`.
        config: `"1.0"`, `"1.1"`, `"simple_bypass"`, `"complex_bypass"`,
            `"1.1_simple_bypass"`, or a `SqueezeNetConfig`. With
            `weights="cifar10"`, `"1.1"` means the trained network, whose first
            convolution and pooling are for small images. Without the top,
            strides, padding and pooling may differ from those of the
            pretrained network. Defaults to `"1.1"`.

    Returns:
        A `keras.Model` from float32 images of shape `(batch, height, width,
        channels)`, or `(batch, channels, height, width)` with
        `"channels_first"`, to probabilities of shape `(batch, classes)`.

    Raises:
        ValueError: if an argument is out of range or contradicts another one,
            or the weights do not fit the network.
        OSError: if the weights cannot be downloaded.

    Example:

    >>> model = SqueezeNet(weights=None, classes=10, input_shape=(64, 64, 3))
    >>> model.output_shape
    (None, 10)
    """
    config = architecture.get_config(config)
    weights = hub.local(weights)
    named = weights in registry.NAMES
    is_file = weights and os.path.exists(os.path.expanduser(weights))
    if not (weights is None or named or is_file):
        raise ValueError(
            "The `weights` argument should be either "
            "`None` (random initialization), 'imagenet' "
            "(pre-training on ImageNet), "
            "or the path to the weights file to be loaded.  Received: "
            f"weights={weights}"
            f"{suggestions.did_you_mean(weights, registry.NAMES)}"
        )
    side = architecture.DEFAULT_SIDE
    if named:
        entry = registry.find(str(weights), config, include_top)
        config, side = entry.adapt(config), entry.image_size
        if include_top and classes != entry.classes:
            raise ValueError(
                f"If using `weights={weights!r}` with `include_top=True`, "
                f"`classes` should be {entry.classes}.  "
                f"Received classes={classes}"
            )
    if pooling not in {None, "avg", "max"}:
        raise ValueError(
            "The `pooling` argument should be one of `None`, 'avg', 'max'.  "
            f"Received: pooling={pooling!r}"
        )
    if include_top and weights is not None:
        _require_activation(classifier_activation)
    img_input = _image_input(
        config, input_tensor, input_shape, include_top, named, side
    )
    if weights is not None:
        loaded = pretrained.open_weights(weights, config, include_top)
        config = loaded.config(config)

    x = _features(img_input, config)
    if include_top:
        x = _classifier(x, config, classes, classifier_activation)
    elif pooling == "avg":
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    elif pooling == "max":
        x = layers.GlobalMaxPooling2D(name="max_pool")(x)

    # Ensure that the model takes into account
    # any potential predecessors of `input_tensor`.
    if input_tensor is not None:
        inputs = keras.utils.get_source_inputs(input_tensor)
    else:
        inputs = img_input
    model = keras.Model(inputs, x, name=name)

    if weights is not None:
        loaded.assign_to(model)
    return model


def SqueezeNet1_0(
    include_top: bool = True,
    weights: str | os.PathLike | None = "imagenet",
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | Callable | None = "softmax",
    name: str = "squeezenet1_0",
) -> keras.Model:
    """Instantiate SqueezeNet v1.0 (paper table 1): 1,248,424 parameters.

    The arguments are those of `SqueezeNet`, without `config`.
    """
    return SqueezeNet(**locals(), config="1.0")


def SqueezeNet1_1(
    include_top: bool = True,
    weights: str | os.PathLike | None = "imagenet",
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | Callable | None = "softmax",
    name: str = "squeezenet1_1",
) -> keras.Model:
    """Instantiate SqueezeNet v1.1: 1,235,496 parameters.

    The authors' later network has a smaller `conv1` and earlier pooling: 2.4
    times less computation than v1.0 with the same accuracy. The arguments are
    those of `SqueezeNet`, without `config`.
    """
    return SqueezeNet(**locals(), config="1.1")


def SqueezeNetSimpleBypass(
    include_top: bool = True,
    weights: str | os.PathLike | None = "imagenet",
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | Callable | None = "softmax",
    name: str = "squeezenet_simple_bypass",
) -> keras.Model:
    """Instantiate v1.0 with simple bypass (paper section 6, figure 2).

    The inputs of fire3, fire5, fire7 and fire9 are added to their outputs.
    There are 1,248,424 parameters, as in v1.0. The arguments are those of
    `SqueezeNet`, without `config`.
    """
    return SqueezeNet(**locals(), config="simple_bypass")


def SqueezeNetComplexBypass(
    include_top: bool = True,
    weights: str | os.PathLike | None = "imagenet",
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | Callable | None = "softmax",
    name: str = "squeezenet_complex_bypass",
) -> keras.Model:
    """Instantiate v1.0 with complex bypass (paper section 6, figure 2).

    A 1x1 convolution around fire2, fire4, fire6 and fire8 is added to the
    simple bypass: 1,589,672 parameters. There are no pretrained weights, so
    `weights` must be `None` or the path of a file. The arguments are those of
    `SqueezeNet`, without `config`.
    """
    return SqueezeNet(**locals(), config="complex_bypass")


def SqueezeNet1_1SimpleBypass(
    include_top: bool = True,
    weights: str | os.PathLike | None = "imagenet",
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | Callable | None = "softmax",
    name: str = "squeezenet1_1_simple_bypass",
) -> keras.Model:
    """Instantiate v1.1 with simple bypass, which the paper does not have.

    The inputs of fire3, fire5, fire7 and fire9 are added to their outputs.
    There are 1,235,496 parameters, as in v1.1. There are no weights of the
    authors, so `weights` must be `"imagenet_imgclsmob"`, `None` or the path of
    a file. The arguments are those of `SqueezeNet`, without `config`.
    """
    return SqueezeNet(**locals(), config="1.1_simple_bypass")


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Preprocess images for every network and all weights of this package.

    Images are converted from RGB to BGR, and each channel is centered at zero
    with respect to the ImageNet dataset, without scaling.

    Args:
        x: a floating point array or tensor of shape `(..., height, width, 3)`
            with RGB values from 0 to 255. An array of that type is changed in
            place; pass a copy to keep it.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            `keras.config.image_data_format()`.

    Returns:
        An array or tensor of the same shape and floating point type, or
        float32 for other types.

    Raises:
        ValueError: if `data_format` is unknown, or the number of channels is
            not 3.

    Example:

    >>> preprocess_input(np.array([[[[10.0, 20.0, 30.0]]]])).round(3)
    array([[[[ -73.939,  -96.779, -113.68 ]]]])
    """
    data_format = data_format or keras.config.image_data_format()
    axis = -3 if data_format == "channels_first" else -1
    shape = tuple(getattr(x, "shape", ()))
    if len(shape) >= 3 and shape[axis] not in (3, None):
        raise ValueError(
            "the images must have 3 channels, red, green and blue; repeat a "
            "gray channel with `np.repeat(images, 3, axis=-1)`. Received: "
            f"images of shape {shape}"
        )
    return imagenet_utils.preprocess_input(
        x, data_format=data_format, mode="caffe"
    )


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple]]:
    """Decode the predictions of an ImageNet model, without a download.

    Args:
        preds: array of shape `(batch, 1000)`, a batch of predictions.
        top: int, how many top-guesses to return. Defaults to `5`.

    Returns:
        For each image a list of `(class_name, class_description, score)`,
        such as `("n02504458", "African_elephant", 0.97)`.

    Raises:
        ValueError: if `preds` has another shape.
    """
    if len(preds.shape) != 2 or preds.shape[1] != 1000:
        raise ValueError(
            "`decode_predictions` expects "
            "a batch of predictions "
            "(i.e. a 2D array of shape (samples, 1000)). "
            f"Received array with shape: {preds.shape}"
        )
    classes = imagenet.imagenet_classes()
    return [
        [(*classes[index], pred[index]) for index in imagenet.best(pred, top)]
        for pred in keras.ops.convert_to_numpy(preds)
    ]


def _require_activation(activation):
    activation = keras.activations.get(activation)
    if activation not in (
        keras.activations.get("softmax"),
        keras.activations.get(None),
    ):
        raise ValueError(
            "Only `None` and `softmax` activations are allowed "
            "for the `classifier_activation` argument when using "
            "pretrained weights, with `include_top=True`; Received: "
            f"classifier_activation={activation}"
        )


def _image_input(
    config, input_tensor, input_shape, include_top, named, default_side
):
    if input_shape:
        _require_shape(config, input_shape, include_top, named)
    else:
        sides = [default_side if include_top else None] * 2
        input_shape = (3, *sides) if _channel_axis() == 1 else (*sides, 3)
    if input_tensor is None:
        img_input = layers.Input(shape=input_shape)
    elif not keras.utils.is_keras_tensor(input_tensor):
        img_input = layers.Input(tensor=input_tensor, shape=input_shape)
    else:
        img_input = input_tensor
    shape = tuple(img_input.shape)
    _require_min_side(config, shape, f"input_tensor of shape {shape}")
    if named and shape[_channel_axis()] != 3:
        raise ValueError(
            "The input must have 3 channels; Received "
            f"`input_shape={shape[1:]}`"
        )
    return img_input


def _require_shape(config, input_shape, include_top, named):
    if len(input_shape) != 3:
        raise ValueError("`input_shape` must be a tuple of three integers.")
    batch_shape = (None, *input_shape)
    channels = batch_shape[_channel_axis()]
    if channels not in {1, 3} and not named:
        warnings.warn(
            "This model usually expects 1 or 3 input channels. "
            "However, it was passed an input_shape "
            f"with {channels} input channels.",
            stacklevel=4,
        )
    _require_min_side(config, batch_shape, f"input_shape={input_shape}")
    if include_top and None in input_shape:
        raise ValueError(
            "If `include_top` is True, "
            "you should specify a static `input_shape`. "
            f"Received: input_shape={input_shape}"
        )


def _require_min_side(config, batch_shape, received):
    minimum = architecture.min_side(config)
    if any(side is not None and side < minimum for side in _sides(batch_shape)):
        raise ValueError(
            f"Input size must be at least {minimum}x{minimum}; Received: "
            f"{received}"
        )


def _features(x, config):
    stem = config.stem
    size, strides, padding = stem.kernel_size, stem.strides, stem.padding
    x = _conv(x, "conv1", stem.filters, size, strides, padding)
    x = _pool(x, "conv1", config)
    for fire in config.fires:
        x = _pool(_fire(x, fire), fire.name, config)
    return x


def _fire(x, fire):
    """Build one Fire module (paper section 3.2) and its bypass."""
    squeezed = _conv(x, f"{fire.name}_squeeze1x1", fire.squeeze1x1)
    expanded = layers.Concatenate(
        axis=_channel_axis(), name=f"{fire.name}_concat"
    )(
        [
            _conv(squeezed, f"{fire.name}_expand1x1", fire.expand1x1),
            _conv(squeezed, f"{fire.name}_expand3x3", fire.expand3x3, 3),
        ]
    )
    if fire.bypass is None:
        return expanded
    if fire.bypass == "complex":
        x = _conv(x, f"{fire.name}_bypass1x1", fire.filters)
    return layers.Add(name=f"{fire.name}_bypass")([expanded, x])


def _classifier(x, config, classes, classifier_activation):
    x = layers.Dropout(0.5, name="drop9")(x)
    if config.conv10_padding:
        x = layers.ZeroPadding2D(config.conv10_padding, name="conv10_pad")(x)
    activation = config.conv10_activation
    x = layers.Conv2D(
        classes,
        1,
        activation=activation,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=CONV10_BIAS if activation else "zeros",
        name="conv10",
    )(x)
    x = layers.GlobalAveragePooling2D(name="pool10")(x)
    return layers.Activation(classifier_activation, name="predictions")(x)


def _conv(x, name, filters, kernel_size=1, strides=1, padding="same"):
    """Apply a convolution, initialized like Caffe's "xavier" filler."""
    convolution = layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        activation="relu",
        kernel_initializer="lecun_uniform",
        name=name,
    )
    x = convolution(x)
    _pair_filters(convolution)
    return x


def _pair_filters(convolution):
    """Make every second filter the negative of the one before it.

    The next layer subtracts the two, and relu(x) - relu(-x) = x: except for its
    poolings, the network starts linear. With independent filters, all images
    have nearly the same features after 17 ReLUs. See "The Shattered Gradients
    Problem", Balduzzi et al., 2017, section 5.
    """
    kernel = keras.ops.convert_to_numpy(convolution.kernel)
    inputs, filters = kernel.shape[2:]
    if convolution.name == "conv1":
        paired = np.kron(kernel[..., ::2], [1, -1])
    else:
        paired = np.kron(kernel[:, :, ::2, ::2], [[1, -1], [-1, 1]])
    convolution.kernel.assign(paired[:, :, :inputs, :filters])


def _pool(x, layer, config):
    """Apply the pooling after `layer`, if any, in Caffe's ceil mode."""
    if layer not in config.pools:
        return x
    name = architecture.pool_name(layer)
    padding = [(0, architecture.pool_padding(side)) for side in _sides(x.shape)]
    if any(after for _, after in padding):
        x = layers.ZeroPadding2D(padding, name=f"{name}_pad")(x)
    return layers.MaxPooling2D(
        architecture.POOL_SIZE, strides=architecture.POOL_STRIDES, name=name
    )(x)


def _sides(batch_shape):
    return batch_shape[2:4] if _channel_axis() == 1 else batch_shape[1:3]


def _channel_axis():
    return 1 if keras.config.image_data_format() == "channels_first" else -1
