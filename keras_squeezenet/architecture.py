"""The networks of the SqueezeNet paper as data; imports no framework.

Reference:
- [SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB
  model size](https://arxiv.org/abs/1602.07360) (Iandola et al., 2016)
"""

import bisect
import dataclasses
import numbers

from keras_squeezenet.utils import suggestions
from keras_squeezenet.utils.text import shown

BYPASSES = (None, "simple", "complex")
FIRE_INDICES = range(2, 10)
# The side in pixels of the input images in the authors' prototxts.
DEFAULT_SIDE = 227
MAX_FILTERS = 2**16
# More than any network needs: the stem and nine poolings divide a side.
MAX_SIDE = 2**32
POOL_SIZE = 3
POOL_STRIDES = 2


def _round(value):
    return int(value + 0.5)


def _require(condition, field, expected, value):
    if not condition:
        raise ValueError(
            f"`{field}` must be {expected}. Received: {field}={shown(value)}"
        )


def _require_one_of(field, value, allowed):
    expected = f"one of {', '.join(map(repr, allowed))}"
    _require(value in allowed, field, expected, value)


def _require_int(owner, field, minimum=1):
    value = getattr(owner, field)
    _require(
        # In Python `True` is an integer.
        isinstance(value, int)
        and not isinstance(value, bool)
        and minimum <= value <= MAX_FILTERS,
        field,
        f"an integer of at least {minimum} and at most {MAX_FILTERS}",
        value,
    )


def _require_below(owner, field, limit):
    value = getattr(owner, field)
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    _require(
        is_number and 0 < value < limit,
        field,
        f"greater than 0 and less than {limit}",
        value,
    )


@dataclasses.dataclass(frozen=True)
class Stem:
    """The first convolution, `conv1`.

    The kernel is square, the strides are the same along both sides, and
    `padding` is `"valid"` or `"same"`.
    """

    filters: int = 96
    kernel_size: int = 7
    strides: int = 2
    padding: str = "valid"

    def __post_init__(self):
        for field in ("filters", "kernel_size", "strides"):
            _require_int(self, field)
        _require_one_of("padding", self.padding, ("valid", "same"))


@dataclasses.dataclass(frozen=True)
class Fire:
    """One Fire module (paper section 3.2, figure 1), in numbers of filters.

    `bypass` is `None`, `"simple"` (the identity) or `"complex"` (a 1x1
    convolution).
    """

    name: str
    squeeze1x1: int
    expand1x1: int
    expand3x3: int
    bypass: str | None = None

    @property
    def filters(self) -> int:
        return self.expand1x1 + self.expand3x3


@dataclasses.dataclass(frozen=True)
class Convolution:
    """The shape of one convolution of a network."""

    name: str
    kernel_size: int
    in_channels: int
    filters: int

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        """Height, width, input channels, output channels, as in Keras."""
        side = self.kernel_size
        return (side, side, self.in_channels, self.filters)

    @property
    def kernel_parameters(self) -> int:
        return self.kernel_size**2 * self.in_channels * self.filters

    @property
    def parameters(self) -> int:
        return self.kernel_parameters + self.filters


@dataclasses.dataclass(frozen=True)
class SqueezeNetConfig:
    """A point of the paper's design space (section 5, table 1, figure 2).

    The i-th Fire module (i = 0..7 for fire2..fire9) has
    `e_i = base_e + incr_e * floor(i / freq)` expand filters, of which
    `e_i * pct_3x3` are 3x3, and `SR * e_i` squeeze filters, each rounded to
    the nearest integer. The defaults are SqueezeNet v1.0.

    Args:
        base_e: the expand filters of the first Fire module.
        incr_e: the expand filters that are added after every `freq` modules.
        freq: the number of modules between additions.
        pct_3x3: the share of 3x3 filters among the expand filters, between 0
            and 1.
        SR: the squeeze ratio.
        bypass: `None`, `"simple"` (the identity around every module with as
            many input as output channels) or `"complex"` (also a 1x1
            convolution with a ReLU around the other modules).
        stem: the first convolution.
        pools: names of layers, each followed by a 3x3 max pooling with stride
            2.
        conv10_padding: zeros around the input of the 1x1 `conv10`. The
            prototxts of v1.0 have 1, so that the average includes a border of
            relu(bias).
        conv10_activation: `"relu"`, as in the paper, or `None` for training
            from scratch, where the ReLU can leave classes without a gradient.

    Raises:
        ValueError: if a value is out of range, or leaves a layer without a
            filter.
    """

    base_e: int = 128
    incr_e: int = 128
    freq: int = 2
    pct_3x3: float = 0.5
    SR: float = 0.125
    bypass: str | None = None
    stem: Stem = Stem()
    pools: tuple[str, ...] = ("conv1", "fire4", "fire8")
    conv10_padding: int = 1
    conv10_activation: str | None = "relu"

    def __post_init__(self):
        is_list = isinstance(self.pools, list | tuple)
        _require(is_list, "pools", "a list of layers", self.pools)
        object.__setattr__(self, "pools", tuple(self.pools))
        for field in ("base_e", "freq"):
            _require_int(self, field)
        for field in ("incr_e", "conv10_padding"):
            _require_int(self, field, minimum=0)
        _require(isinstance(self.stem, Stem), "stem", "a `Stem`", self.stem)
        _require_below(self, "pct_3x3", 1)
        _require_below(self, "SR", MAX_FILTERS)
        _require_one_of("bypass", self.bypass, BYPASSES)
        _require_one_of(
            "conv10_activation", self.conv10_activation, ("relu", None)
        )
        poolable = ("conv1", *(f"fire{i}" for i in FIRE_INDICES))
        for layer in self.pools:
            _require_one_of("pools", layer, poolable)
        for fire in self.fires:
            filters = fire.squeeze1x1, fire.expand1x1, fire.expand3x3
            if min(filters) < 1 or max(filters) > MAX_FILTERS:
                raise ValueError(
                    "every layer of a Fire module must have at least one "
                    f"filter and at most {MAX_FILTERS}. Received: "
                    f"{self!r}, with the module {fire!r}"
                )

    @property
    def fires(self) -> tuple[Fire, ...]:
        """The Fire modules, fire2 to fire9."""
        fires = []
        channels = self.stem.filters
        for i, index in enumerate(FIRE_INDICES):
            expand = self.base_e + self.incr_e * (i // self.freq)
            expand3x3 = _round(expand * self.pct_3x3)
            fires.append(
                Fire(
                    name=f"fire{index}",
                    squeeze1x1=_round(expand * self.SR),
                    expand1x1=expand - expand3x3,
                    expand3x3=expand3x3,
                    bypass=self._bypass_around(channels, expand),
                )
            )
            channels = expand
        return tuple(fires)

    def _bypass_around(self, channels, filters):
        if self.bypass is None:
            return None
        if channels == filters:
            return "simple"
        return "complex" if self.bypass == "complex" else None

    def for_small_images(self) -> "SqueezeNetConfig":
        """Return this network for images of about 32x32.

        `conv1` is 3x3 with stride 1. `conv10` has no padding, whose border
        would be more than half of the average over a 4x4 map, and no ReLU,
        since such networks are trained from scratch.
        """
        return dataclasses.replace(
            self,
            stem=Stem(self.stem.filters, 3, strides=1, padding="same"),
            conv10_padding=0,
            conv10_activation=None,
        )


_V1_0 = SqueezeNetConfig()
_V1_1 = SqueezeNetConfig(
    stem=Stem(64, 3),
    pools=("conv1", "fire3", "fire5"),
    conv10_padding=0,
)

VARIANTS = {
    "1.0": _V1_0,
    "1.1": _V1_1,
    "simple_bypass": dataclasses.replace(_V1_0, bypass="simple"),
    "complex_bypass": dataclasses.replace(_V1_0, bypass="complex"),
    "1.1_simple_bypass": dataclasses.replace(_V1_1, bypass="simple"),
}


def get_config(config: SqueezeNetConfig | str) -> SqueezeNetConfig:
    """Return the `SqueezeNetConfig` of a variant's name, or `config` itself."""
    if isinstance(config, SqueezeNetConfig):
        return config
    if not isinstance(config, str) or config not in VARIANTS:
        raise ValueError(
            f"`config` must be one of {', '.join(map(repr, VARIANTS))}, or a "
            f"`SqueezeNetConfig`. Received: config={config!r}."
            f"{suggestions.did_you_mean(config, VARIANTS)}"
        )
    return VARIANTS[config]


def describe(config: SqueezeNetConfig) -> str:
    """Return the quoted name of a variant, or the `repr` of `config`."""
    for name, variant in VARIANTS.items():
        if config == variant:
            return repr(name)
    return repr(config)


def convolutions(
    config: SqueezeNetConfig, classes: int | None = 1000
) -> list[Convolution]:
    """Return every convolution of a network, in the order of its layers.

    Without a number of `classes`, `conv10` is left out.
    """
    channels = config.stem.filters
    found = [Convolution("conv1", config.stem.kernel_size, 3, channels)]
    for fire in config.fires:
        squeezed = fire.squeeze1x1
        found += [
            Convolution(f"{fire.name}_squeeze1x1", 1, channels, squeezed),
            Convolution(f"{fire.name}_expand1x1", 1, squeezed, fire.expand1x1),
            Convolution(f"{fire.name}_expand3x3", 3, squeezed, fire.expand3x3),
        ]
        if fire.bypass == "complex":
            found.append(
                Convolution(f"{fire.name}_bypass1x1", 1, channels, fire.filters)
            )
        channels = fire.filters
    if classes is not None:
        found.append(Convolution("conv10", 1, channels, classes))
    return found


def count_parameters(
    config: SqueezeNetConfig, classes: int | None = 1000
) -> int:
    """Return the number of weights and biases, in closed form."""
    return sum(layer.parameters for layer in convolutions(config, classes))


def count_macs(
    config: SqueezeNetConfig, side: int, classes: int | None = 1000
) -> int:
    """Return the multiply-accumulates for one square image of side `side`."""
    sides = feature_sides(config, side)
    return sum(
        layer.kernel_parameters * sides[layer.name.partition("_")[0]] ** 2
        for layer in convolutions(config, classes)
    )


def feature_sides(config: SqueezeNetConfig, side: int) -> dict[str, int]:
    """Return the side of the output of every module, pooling and `conv10`.

    `side` is that of the square input image, in pixels. A result below 1 means
    that the image is too small.
    """
    stem = config.stem
    if stem.padding == "same":
        side = -(-side // stem.strides)
    else:
        side = (side - stem.kernel_size) // stem.strides + 1
    sides = {}
    for name in ("conv1", *(fire.name for fire in config.fires)):
        sides[name] = side
        if name in config.pools:
            # Caffe's pooling rounds up, ceil((side - 3) / 2) + 1.
            side = side // 2
            sides[pool_name(name)] = side
    sides["conv10"] = side + 2 * config.conv10_padding
    return sides


def pool_padding(side: int | None) -> int:
    """Return how many zeros at the end make "valid" pooling round up.

    An odd side needs none, since every window fits. An unknown side, `None`, is
    padded: zeros that no window reaches change nothing, and the other zeros
    never exceed the inputs, which are not negative after a ReLU.
    """
    return 0 if side is not None and side % 2 else 1


def pool_name(layer: str) -> str:
    """Return the name of the pooling after a layer: `"pool4"` for `"fire4"`."""
    return "pool" + layer.removeprefix("conv").removeprefix("fire")


def min_side(config: SqueezeNetConfig) -> int:
    """Return the side of the smallest image with outputs in every layer."""
    return 1 + bisect.bisect_left(
        range(1, MAX_SIDE),
        1,
        key=lambda side: min(feature_sides(config, side).values()),
    )
