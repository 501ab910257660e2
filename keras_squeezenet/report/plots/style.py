"""What the pictures have in common."""

# Wong's palette, which the colour-blind can tell apart.
INK = "#333333"
GREY = "#b8b8b8"
BLUE = "#0072b2"
ORANGE = "#d55e00"
GREEN = "#009e73"
PURPLE = "#cc79a7"
SKY = "#56b4e9"
HIGHLIGHTS = (ORANGE, BLUE, GREEN, PURPLE, SKY)
NAME_LENGTH = 18


def plain(axes):
    axes.spines[["top", "right"]].set_visible(False)


def grid(axes, axis="both"):
    axes.grid(axis=axis, color="#eeeeee")


def legend_above(axes, ncols, **options):
    axes.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1),
        ncols=ncols,
        frameon=False,
        **options,
    )


def short(name):
    if len(name) > NAME_LENGTH:
        name = f"{name[: NAME_LENGTH - 1]}…"
    # Else matplotlib takes it for a formula.
    return name.replace("$", r"\$")


def number(value, place):
    return f"{value:g}"


def in_bytes(value, place):
    """`20 kB`, in the decimal units that the paper's MB are."""
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} B"
