"""Colours that colour-blind readers tell apart.

Source: M. Okabe and K. Ito, "Color Universal Design", 2008.
"""

OKABE_ITO = (
    (0, 114, 178),  # blue
    (230, 159, 0),  # orange
    (0, 158, 115),  # bluish green
    (204, 121, 167),  # reddish purple
    (213, 94, 0),  # vermilion
    (86, 180, 233),  # sky blue
    (240, 228, 66),  # yellow
    (0, 0, 0),  # black
)


def palette(count: int) -> list[tuple[int, int, int]]:
    """``count`` colours (R, G, B); beyond the first eight, lighter ones."""
    shades = ((OKABE_ITO[i % 8], 1 + i // 8 / 2) for i in range(count))

    def lighter(value, factor):  # black cannot be darker
        return int(255 - (255 - value) / factor)

    return [
        (lighter(r, k), lighter(g, k), lighter(b, k))
        for (r, g, b), k in shades
    ]
