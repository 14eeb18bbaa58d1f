"""Text for people."""


def shorten(found, limit: int = 4) -> str:
    """The first names, and how many more there are."""
    found = list(found)
    rest = len(found) - limit
    text = ', '.join(found[:limit])
    return f'{text} and {rest} more' if rest > 0 else text
