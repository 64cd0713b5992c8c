"""Errors a user can mend: one line that says what, where and what to try.

Anything that is not a `VidaugError` is a bug and keeps its traceback.
"""


class VidaugError(Exception):
    """Something the user can mend.

    The message reads `where: what; hint` with the parts that are given.
    """

    def __init__(self, what: str, *, where: object = "", hint: str = "") -> None:
        # All three as positional arguments, so that the error survives pickling between processes.
        super().__init__(what, str(where), hint)
        self.what, self.where, self.hint = what, str(where), hint

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}" if self.where else self.reason

    @property
    def reason(self) -> str:
        """The message without its place, for a list that names the place itself."""
        return f"{self.what}; {self.hint}" if self.hint else self.what

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.where, self.hint), vars(self)


def _rebuild(kind: type[VidaugError], what: str, where: str, hint: str) -> VidaugError:
    return kind(what, where=where, hint=hint)


class VideoError(VidaugError):
    """A video that cannot be used, with the true reason: it is quarantined, never swapped for another.

    `passing`: the reason may be gone at another try (a limit that can be raised, a killed decoder, a disk that does not
    answer), so nothing remembers it as a fault of the file.
    """

    def __init__(self, what: str, *, where: object = "", hint: str = "", passing: bool = False) -> None:
        super().__init__(what, where=where, hint=hint)
        self.passing = passing


class RecipeError(VidaugError):
    """A recipe with faults, all of them at once, a line each."""


class ShardError(VidaugError):
    """A shard or an output folder that is damaged, foreign or belongs to another plan."""
