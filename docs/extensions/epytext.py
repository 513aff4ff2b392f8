"""
A module's interfaces and values as a page of reST, with what their docstrings say.

The docstrings are epytext, as Twisted's are: C{...} is code, L{...} a name, @param, @return and @raise are fields.
Nothing is imported: the source is read as a tree, so that the strings behind attributes count too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from inspect import cleandoc
from textwrap import indent

FIELD = re.compile(r"^@(param|ivar|return|raise)\s*([\w.]*)\s*:\s*", re.MULTILINE)


def rest(text: str) -> str:
    """What a docstring says, as reST."""
    text = re.sub(r"L\{([^<}]+?)(?: <[^>]+>)?\}", r"``\1``", text)
    return re.sub(r"C\{((?:[^{}]|\{[^{}]*\})*)\}", r"``\1``", text)


def split(docstring: str) -> tuple[str, list[tuple[str, str, str]]]:
    """A docstring's text, and its fields: which, of what, and what is said of it."""
    text, *parts = FIELD.split(cleandoc(docstring))
    fields = zip(parts[0::3], parts[1::3], parts[2::3], strict=True)
    return rest(text).strip(), [(kind, name, " ".join(rest(said).split())) for kind, name, said in fields]


def described(docstring: str) -> Iterator[str]:
    """A docstring as blocks of reST."""
    text, fields = split(docstring)
    if text:
        yield text
    words = {"return": "returns", "raise": "raises"}
    if fields:
        yield "\n".join(
            f":{' '.join(filter(None, (words.get(kind, 'parameter'), f'``{name}``' if name else '')))}: {said}"
            for kind, name, said in fields
        )


def document(source: str) -> str:
    """The interfaces, then the values of a module, as reST."""
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    interfaces = [node for node in classes if any(ast.unparse(base) == "Interface" for base in node.bases)]
    values = [node for node in classes if node not in interfaces]
    blocks: list[str] = []
    for title, group in (("Seams", interfaces), ("Values", values)):
        if group:
            blocks += [f"{title}\n{'-' * len(title)}"]
        for node in group:
            blocks += [f"{node.name}\n{'~' * len(node.name)}", *_class(node)]
    return "\n\n".join(blocks)


def _class(node: ast.ClassDef) -> Iterator[str]:
    yield from described(ast.get_docstring(node) or "")
    for name, annotation, said in _attributes(node):
        yield _defined(f"``{name}``" + (f": ``{annotation}``" if annotation else ""), said)
    for method in node.body:
        if isinstance(method, ast.FunctionDef):
            returns = f" -> {_annotation(method.returns)}" if method.returns else ""
            call = f"``{method.name}({_signature(method.args)}){returns}``"
            yield _defined(call, ast.get_docstring(method) or "")


def _defined(term: str, docstring: str) -> str:
    """A term of a list of definitions, or a paragraph where there is nothing to say."""
    return "\n".join([term, indent("\n\n".join(described(docstring)), "   ")]).rstrip()


def _attributes(node: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    """Name, annotation, and what is said of it: in C{Attribute(...)}, or in the string below."""
    following = [*node.body[1:], None]
    for statement, after in zip(node.body, following, strict=True):
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name)):
                annotation = _annotation(statement.annotation)
            case ast.Assign(targets=[ast.Name(id=name)]):
                annotation = ""
            case _:
                continue
        yield name, annotation, _said(statement.value, after)


def _said(value: ast.expr | None, after: ast.stmt | None) -> str:
    match value, after:
        case ast.Call(func=ast.Name(id="Attribute"), args=[ast.Constant(value=str(said))]), _:
            return said
        case _, ast.Expr(value=ast.Constant(value=str(said))):
            return said
    return ""


def _signature(arguments: ast.arguments) -> str:
    for one in arguments.args:
        if one.annotation:
            one.annotation = ast.Name(_annotation(one.annotation))
    return ast.unparse(arguments)


def _annotation(node: ast.expr) -> str:
    """An annotation, without the quotes that keep it from being looked up."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ast.unparse(node)
