"""SqueezeNet models for Keras, with the conventions of `keras.applications`.

Reference:
- [SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB
  model size](https://arxiv.org/abs/1602.07360) (Iandola et al., 2016)
"""

import os

import keras
from keras import layers
from keras.src.applications import imagenet_utils

from keras_squeezenet import architecture
from keras_squeezenet import imagenet
from keras_squeezenet import pretrained
from keras_squeezenet.pretrained import packaged
from keras_squeezenet.pretrained import sources

DEFAULT_SIDE = 227


def SqueezeNet(
    include_top=True,
    weights="imagenet",
    input_tensor=None,
    input_shape=None,
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    name="squeezenet",
    *,
    config="1.1",
):
    """Instantiates a SqueezeNet, v1.1 unless `config` says otherwise.

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
            (pre-training on ImageNet by the authors of the variant), another
            public source (`"imagenet_torchvision"` of v1.0 and v1.1,
            `"imagenet_dsd"` and `"imagenet_deep_compression"` of v1.0),
            `"cifar10"` (this project's own, of v1.1 for images of 32x32,
            which come with the package), or the path to the weights file to
            be loaded: `.weights.h5`, `.keras`, `.sqz`, `.h5`, `.npz`,
            `.caffemodel`, `.pth`, or the `.net` of Deep Compression. All of
            them take what `preprocess_input` gives. Defaults to `"imagenet"`.
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
        config: `"1.0"`, `"1.1"`, `"simple_bypass"`, `"complex_bypass"`, or a
            `SqueezeNetConfig`. With `"cifar10"`, `"1.1"` stands for that
            network as it was trained, with a first convolution and pooling
            for small images. Defaults to `"1.1"`.

    Returns:
        A `keras.Model` from float32 images of shape `(batch, height, width,
        channels)`, or `(batch, channels, height, width)` with
        `"channels_first"`, to probabilities of shape `(batch, classes)`.

    Raises:
        ValueError: if an argument is out of its range, contradicts another
            one, or the weights do not fit the network.
        OSError: if the weights cannot be downloaded.

    Example:

    >>> model = SqueezeNet(weights=None, classes=10, input_shape=(64, 64, 3))
    >>> model.output_shape
    (None, 10)
    """
    own = packaged.find(weights)
    config = own.fitting(config) if own else architecture.get_config(config)
    named = own is not None or weights in sources.NAMES
    if not (weights is None or named or os.path.exists(weights)):
        raise ValueError(
            "The `weights` argument should be either "
            "`None` (random initialization), 'imagenet' "
            "(pre-training on ImageNet), "
            "or the path to the weights file to be loaded.  Received: "
            f"weights={weights}"
        )
    trained_classes = own.classes if own else 1000
    if named and include_top and classes != trained_classes:
        raise ValueError(
            f"If using `weights={weights!r}` with `include_top=True`, "
            f"`classes` should be {trained_classes}.  "
            f"Received classes={classes}"
        )
    if pooling not in {None, "avg", "max"}:
        raise ValueError(
            "The `pooling` argument should be one of `None`, 'avg', 'max'.  "
            f"Received: pooling={pooling!r}"
        )

    if include_top:
        imagenet_utils.validate_activation(classifier_activation, weights)
    side = own.image_size if own else DEFAULT_SIDE
    img_input = _image_input(
        config, input_tensor, input_shape, include_top, named, side
    )
    if weights is not None:
        resolved = pretrained.resolve(weights, config, include_top)
        config = resolved.config

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
        pretrained.load_weights(model, resolved.path, resolved.normalization)
    return model


def SqueezeNet1_0(
    include_top=True,
    weights="imagenet",
    input_tensor=None,
    input_shape=None,
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    name="squeezenet1_0",
):
    """Instantiates SqueezeNet v1.0 (paper table 1): 1,248,424 parameters."""
    return SqueezeNet(**locals(), config="1.0")


def SqueezeNet1_1(
    include_top=True,
    weights="imagenet",
    input_tensor=None,
    input_shape=None,
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    name="squeezenet1_1",
):
    """Instantiates SqueezeNet v1.1: 1,235,496 parameters.

    The authors' later network: 2.4 times less computation than v1.0 at the
    same accuracy, by a smaller `conv1` and earlier pooling.
    """
    return SqueezeNet(**locals(), config="1.1")


def SqueezeNetSimpleBypass(
    include_top=True,
    weights="imagenet",
    input_tensor=None,
    input_shape=None,
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    name="squeezenet_simple_bypass",
):
    """Instantiates v1.0 with simple bypass (paper section 6, figure 2).

    The identity runs around fire3, fire5, fire7 and fire9; it adds no
    parameter.
    """
    return SqueezeNet(**locals(), config="simple_bypass")


def SqueezeNetComplexBypass(
    include_top=True,
    weights="imagenet",
    input_tensor=None,
    input_shape=None,
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    name="squeezenet_complex_bypass",
):
    """Instantiates v1.0 with complex bypass (paper section 6, figure 2).

    The simple bypass, and a 1x1 convolution around fire2, fire4, fire6 and
    fire8: 1,589,672 parameters.
    """
    return SqueezeNet(**locals(), config="complex_bypass")


def preprocess_input(x, data_format=None):
    return imagenet_utils.preprocess_input(
        x, data_format=data_format, mode="caffe"
    )


def decode_predictions(preds, top=5):
    """Decodes the prediction of an ImageNet model, without a download.

    Args:
        preds: array of shape `(batch, 1000)`, a batch of predictions.
        top: int, how many top-guesses to return. Defaults to `5`.

    Returns:
        A list of lists of top class prediction tuples `(class_name,
        class_description, score)`, such as `("n02504458",
        "African_elephant", 0.97)`. One list of tuples per sample in batch
        input.

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


def _image_input(
    config, input_tensor, input_shape, include_top, named, default_side
):
    """Validates the shape of the image and returns it as a Keras tensor."""
    data_format = keras.config.image_data_format()
    min_side = architecture.min_side(config)
    input_shape = imagenet_utils.obtain_input_shape(
        input_shape,
        default_size=default_side,
        min_size=min_side,
        data_format=data_format,
        require_flatten=include_top,
        # With a top, Keras would insist on the default size for "imagenet";
        # a fully convolutional network takes any.
        weights="imagenet" if named and not include_top else None,
    )
    if input_tensor is None:
        img_input = layers.Input(shape=input_shape)
    elif not keras.backend.is_keras_tensor(input_tensor):
        img_input = layers.Input(tensor=input_tensor, shape=input_shape)
    else:
        img_input = input_tensor
    height, width = _sides(img_input)
    if min(height or min_side, width or min_side) < min_side:
        raise ValueError(
            f"Input size must be at least {min_side}x{min_side}; Received: "
            f"input_tensor of shape {tuple(img_input.shape)}"
        )
    channels = img_input.shape[_channel_axis()]
    if named and channels != 3:
        raise ValueError(
            "The input must have 3 channels; Received "
            f"`input_shape={tuple(img_input.shape[1:])}`"
        )
    return img_input


def _features(x, config):
    stem = config.stem
    x = _conv(
        x,
        "conv1",
        stem.filters,
        stem.kernel_size,
        strides=stem.strides,
        padding=stem.padding,
    )
    x = _pool(x, "conv1", config)
    for fire in config.fires:
        x = _fire(x, fire)
        x = _pool(x, fire.name, config)
    return x


def _fire(x, fire):
    """One Fire module (paper section 3.2) and what bypasses it."""
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
    x = _conv(
        x,
        "conv10",
        classes,
        activation=config.conv10_activation,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
    )
    x = layers.GlobalAveragePooling2D(name="pool10")(x)
    return layers.Activation(classifier_activation, name="predictions")(x)


def _conv(
    x,
    name,
    filters,
    kernel_size=1,
    strides=1,
    padding="same",
    activation="relu",
    kernel_initializer="lecun_uniform",
):
    """A convolution, initialized as the authors' "xavier" filler does it."""
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        activation=activation,
        kernel_initializer=kernel_initializer,
        name=name,
    )(x)


def _pool(x, layer, config):
    """The pooling behind `layer`, if any: Caffe's, in ceil mode."""
    if layer not in config.pools:
        return x
    name = architecture.pool_name(layer)
    padding = [(0, architecture.pool_padding(side)) for side in _sides(x)]
    if any(after for _, after in padding):
        x = layers.ZeroPadding2D(padding, name=f"{name}_pad")(x)
    return layers.MaxPooling2D(
        architecture.POOL_SIZE, strides=architecture.POOL_STRIDES, name=name
    )(x)


def _sides(x):
    if keras.config.image_data_format() == "channels_first":
        return tuple(x.shape[2:4])
    return tuple(x.shape[1:3])


def _channel_axis():
    return 1 if keras.config.image_data_format() == "channels_first" else -1


preprocess_input.__doc__ = imagenet_utils.PREPROCESS_INPUT_DOC.format(
    mode="",
    ret=imagenet_utils.PREPROCESS_INPUT_RET_DOC_CAFFE,
    error=imagenet_utils.PREPROCESS_INPUT_ERROR_DOC,
)
