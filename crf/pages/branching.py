"""Branching logic for a page: as JSON for the browser, which shows and hides at once, and in words for people.

static/crf/branching.js asks the same questions as `crf.logic`, and a browser test compares the two.
"""

from functools import cache, reduce
from typing import Any

from django.utils.translation import gettext as _

from crf.expressions import AllOf, AnyOf, Comparison, Negative, Node, Number, Text, Variable, read_expression
from crf.forms import Form, branching


@cache
def branching_json(form: type[Form]) -> dict[str, Any]:
    """Return the logic of each variable of `form` that is not always shown, by name."""
    return {name: as_json(read_expression(logic.text)) for name, logic in branching(form).items()}


def as_json(node: Node) -> dict[str, Any]:
    """Return a condition that `crf.logic` took, as branching.js reads it."""
    match node:
        case AnyOf():
            return {"any": [as_json(term) for term in node.terms]}
        case AllOf():
            return {"all": [as_json(term) for term in node.terms]}
        case Comparison():
            return {"sign": node.sign, "left": as_json(node.left), "right": as_json(node.right)}
        case Variable():
            return {"variable": node.name, "code": node.code}
    return {"text": _constant(node)}


def in_words(form: type[Form], name: str) -> str:
    """Return when a variable is asked for, in the words of the form: "Sex is Female"; blank for always."""
    show_if = form.variables()[name].show_if
    return _words(form, read_expression(show_if)) if show_if else ""


def _words(form: type[Form], node: Node) -> str:
    match node:
        case AllOf():
            return reduce(lambda a, b: _("%(a)s and %(b)s") % {"a": a, "b": b}, _terms(form, node))
        case AnyOf():
            return reduce(lambda a, b: _("%(a)s or %(b)s") % {"a": a, "b": b}, _terms(form, node))
        case Comparison(left=Variable() as variable):
            return _comparison(form, variable, node.sign, _constant(node.right))
    return ""


def _terms(form: type[Form], node: Node) -> list[str]:
    return [words for part in node.parts() if (words := _words(form, part))]


def _comparison(form: type[Form], asked: Variable, sign: str, text: str) -> str:
    variable = form.variables()[asked.name]
    label = _(variable.label)
    if asked.code:
        words = {"label": label, "value": _(variable.codes.get(asked.code, asked.code))}
        ticked = (text == "1") == (sign == "=")
        return (_("%(label)s includes %(value)s") if ticked else _("%(label)s does not include %(value)s")) % words
    words = {"label": label, "value": _(variable.codes.get(text, text)) if text else "", "sign": sign}
    if not text:
        return (_("%(label)s is blank") if sign == "=" else _("%(label)s is filled in")) % words
    if sign == "=":
        return _("%(label)s is %(value)s") % words
    if sign in ("<>", "!="):
        return _("%(label)s is not %(value)s") % words
    return _("%(label)s %(sign)s %(value)s") % words


def _constant(node: Node) -> str:
    match node:
        case Text():
            return node.text
        case Number():
            return node.digits
        case Negative(value=Number() as number):
            return f"-{number.digits}"
    return ""
