"""What the errors of this package have in common."""


class BanetError(ValueError):
    """Bad input: its text names the thing, the value and the remedy."""


class CheckpointError(BanetError):
    """What is wrong with a checkpoint, with its remedy."""
