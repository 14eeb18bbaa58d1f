"""What the errors of this package have in common."""


class BanetError(ValueError):
    """Bad input: its text names the thing, the value and the remedy."""
