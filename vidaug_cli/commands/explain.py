"""`vidaug explain`: what the code of an error means."""

from __future__ import annotations

from vidaug_cli.commands.options import JsonOption
from vidaug_cli.commands.signature import argument, as_command
from vidaug_cli.errors import UnknownNameError


@as_command
def command(what: str = argument("CODE"), *, output: JsonOption) -> None:
    """Explain the code at the end of an error.

    \b
    vidaug explain VA012
    """
    from vidaug_cli.explanations import code_in, explanations

    known = explanations()
    if (code := code_in(what)) not in known:
        raise UnknownNameError(f"no error has the code {what!r:.40}", hint=f"codes are {min(known)} to {max(known)}")
    output.print(known[code].as_json(), known[code].text, indent=2)
