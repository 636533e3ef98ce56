"""What a receiver, or the way to it, says when it does not take a message."""


class NotTaken(Exception):
    """A message was not taken. `for_good`: trying again as it is would not help."""

    def __init__(self, sentence: str, *, for_good: bool = False) -> None:
        super().__init__(sentence)
        self.for_good = for_good
