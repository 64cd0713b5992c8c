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
        place = f"{self.where}: " if self.where else ""
        advice = f"; {self.hint}" if self.hint else ""
        return f"{place}{self.what}{advice}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.where, self.hint)


def _rebuild(kind: type[VidaugError], what: str, where: str, hint: str) -> VidaugError:
    return kind(what, where=where, hint=hint)


class VideoError(VidaugError):
    """A video that cannot be used, with the true reason: it is quarantined, never swapped for another."""


class RecipeError(VidaugError):
    """A recipe with faults, all of them at once, a line each."""


class ShardError(VidaugError):
    """A shard or an output folder that is damaged, foreign or belongs to another plan."""


class ClipsError(VidaugError, ValueError):
    """A batch in memory whose tensors are not what an op can take; programs know it as a ValueError."""
