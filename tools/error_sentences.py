"""Print every sentence that the program can print in an error, by its code: `python tools/error_sentences.py`.

They are read from the source, so that all of them can be read aloud: where each is made, what it says, `{...}` for what
is put in and `<a | b>` for what depends. A sentence that stands in a variable is followed to where that is set, in the
same function or file. Last come sentences whose kind the caller says, and those in lists of faults: what a function
named for faults or reasons yields or returns, what is set or appended as such, and the words of rules.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from vidaug_cli import errors
from vidaug_cli.explanations import explanations

PACKAGE = Path(errors.__file__).parent
KINDS = {name: kind.code for name, kind in vars(errors).items() if inspect.isclass(kind) and hasattr(kind, "code")} | {
    "UsageError": errors.USAGE,
    **dict.fromkeys(("BadParameter", "fail"), errors.VALUE),
    **dict.fromkeys(("cannot_read", "cannot_write"), "kind told by the system"),
}
TOLD, FAULT = "kind told by the caller", "in a list of faults"
_TELLING = ("error", "kind")  # variables that hold a kind
_LISTING = re.compile(r"(?i)(^|\b|_)(faults?|reasons?|checks|unreadable|against_record|messages|deaths|of_path)(\b|$)")
_RULES = re.compile(r"(?i)(^|\b|_)rules$")
_PARTS = ("what", "where", "hint")
Values = Mapping[str, Sequence[tuple[ast.stmt, ast.expr]]]


class Scope(NamedTuple):
    """What names mean in a function."""

    values: Values
    indents: Sequence[int]  # of the lines of the file


class Sentence(NamedTuple):
    """One sentence: its code, the file and line that make it, and how it reads."""

    code: str
    place: str
    text: str


def sentences() -> list[Sentence]:
    """Return all of them, by their codes, each in the order of the files."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text("utf-8")
        tree, indents = ast.parse(source), [len(line) - len(line.lstrip()) for line in source.splitlines()]
        scope = Scope(_values(ast.iter_child_nodes(tree)), indents)
        found += [
            Sentence(code, f"{path.relative_to(PACKAGE)}:{line}", text)
            for code, line, text in _of(tree, scope)
            if re.search(r"[a-z]+ [a-z]", re.sub(r"\{.*?\}", "", text))
        ]
    return sorted(set(found), key=lambda each: (not each.code.startswith("VA"), each))


def _of(root: ast.AST, scope: Scope) -> Iterator[tuple[str, int, str]]:
    """Yield code, line and text of what a function makes, and of functions in it, which have a scope of their own."""
    for node in _own(root):
        if isinstance(node, ast.FunctionDef):
            yield from _of(node, scope._replace(values={**scope.values, **_values(_own(node))}))
        elif isinstance(node, ast.ClassDef):
            yield from _of(node, scope)
        elif isinstance(node, ast.expr | ast.stmt):
            yield from ((code, node.lineno, text) for code, text in _made(node, getattr(root, "name", ""), scope))


def _own(root: ast.AST) -> Iterator[ast.AST]:
    """Yield all that is in a function; of functions in it only that they are there."""
    for node in ast.iter_child_nodes(root):
        yield node
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield from _own(node)


def _values(nodes: Iterable[ast.AST]) -> Values:
    """Return where each name is set, and to what, from the last to the first."""
    values: dict[str, list[tuple[ast.stmt, ast.expr]]] = {}
    for node in (each for each in nodes if isinstance(each, ast.stmt)):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        pairs: Iterable[tuple[object, object]] = [(target, value)]
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = zip(target.elts, value.elts, strict=False)
        for name, given in pairs:
            if isinstance(name, ast.Name) and isinstance(given, ast.expr):
                values.setdefault(name.id, []).insert(0, (node, given))
    return values


def _value(name: ast.Name, scope: Scope) -> ast.expr | None:
    """Return what a name is where it stands: what it was set to last, and what it may have been set to in branches."""
    found: ast.expr | None = None
    more: list[ast.expr] = []
    for node, given in scope.values.get(name.id, ()):
        if node.lineno > name.lineno and node.col_offset:  # a constant of the file may stand below
            continue
        if isinstance(node, ast.AugAssign):
            more.insert(0, given)
            continue
        found = given if found is None else ast.IfExp(ast.Constant(True), given, found)
        if node.col_offset <= scope.indents[name.lineno - 1]:
            break
    for each in more:
        found = found and ast.BinOp(found, ast.Add(), each)
    return found


def _made(node: ast.AST, function: str, scope: Scope) -> Iterator[tuple[str, str]]:
    """Yield code and text of what a node makes."""
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        parts = dict(zip(_PARTS, node.args, strict=False)) | {str(word.arg): word.value for word in node.keywords}
        said = {name: _text(parts[name], scope) for name in _PARTS if name in parts}
        if called in ("cannot_read", "cannot_write"):
            said["what"] = f"cannot be {'read' if called == 'cannot_read' else 'written'}: {{the system's words}}"
        helper = any(word.arg == "hint" for word in node.keywords)
        if called in KINDS or called in _TELLING or helper:
            what, where, hint = said.get("what", "{...}"), said.get("where"), said.get("hint")
            reason = (" " if what.endswith("?") else "; ").join(filter(None, (what, hint)))
            yield KINDS.get(called, TOLD), ": ".join(filter(None, (where, reason)))
        elif called in ("Quarantined", "ThisTime", "Fault") and len(node.args) > 1:
            yield FAULT, _text(node.args[1], scope)
        elif (
            called == "append"
            and isinstance(node.func, ast.Attribute)
            and _LISTING.search(ast.unparse(node.func.value))
        ):
            yield FAULT, _text(node.args[0], scope)
        elif called == "check" and len(node.args) > 1:
            yield from _rules(node.args[1], scope)
    elif isinstance(node, ast.Yield | ast.Return) and node.value and _LISTING.search(function):
        yield from ((FAULT, _text(each, scope)) for each in _strings(node.value))
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
        target = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
        if _RULES.search(target):
            yield from _rules(node.value, scope)
        elif _LISTING.search(target):
            yield from ((FAULT, _text(each, scope)) for each in _strings(node.value))


def _rules(node: ast.expr, scope: Scope) -> Iterator[tuple[str, str]]:
    """Yield the sentences of rules, as `schema.check` makes them of a table: name, whether it holds, in words."""
    for key, value in zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ():
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and isinstance(value, ast.Tuple):
            yield FAULT, f"{key.value} = {{value}} should be {_text(value.elts[-1], scope)}"


def _strings(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the texts in an expression; one within another goes with that."""
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        yield node
    else:
        for each in ast.iter_child_nodes(node):
            yield from _strings(each)


def _text(node: ast.expr, scope: Scope, depth: int = 4) -> str:
    """Return a text as it reads."""
    match node:
        case ast.Constant():
            return node.value if isinstance(node.value, str) else f"{{{node.value!r}}}"
        case ast.JoinedStr():
            return "".join(_text(part, scope, depth) for part in node.values)
        case ast.FormattedValue():
            return _text(node.value, scope, depth)
        case ast.BinOp(op=ast.Add()):
            return _text(node.left, scope, depth) + _text(node.right, scope, depth)
        case ast.IfExp():
            return f"<{_text(node.body, scope, depth)} | {_text(node.orelse, scope, depth)}>"
        case ast.Name() if depth and (value := _value(node, scope)):
            if " " in (found := _text(value, scope, depth - 1)):
                return found
    return f"{{{ast.unparse(node)}}}"


def report() -> str:
    """Return the list as text: a heading for each code, and below it its sentences."""
    titles = {code: f"{code}  {each.title}" for code, each in explanations().items()}
    lines, code = [], ""
    for each in sentences():
        lines += ["", titles.get(each.code, each.code)] if each.code != code else []
        lines.append(f"  {each.place:34} {each.text}")
        code = each.code
    return "\n".join(lines[1:])


if __name__ == "__main__":
    print(report())
