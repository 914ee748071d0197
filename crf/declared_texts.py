"""The texts that the forms declare, for the translators."""

from collections.abc import Iterator

from crf.forms import MissingReason, Status, all_forms


def declared_texts() -> list[str]:
    """Return every text of every form that people read, once, in the order of the forms."""
    return list(dict.fromkeys(text for text in _texts() if text))


def _texts() -> Iterator[str]:
    yield from (str(choice.label) for choices in (Status, MissingReason) for choice in choices)
    for form in all_forms():
        yield from (str(form._meta.verbose_name), form.title())
        for variable in form.variables().values():
            yield from (variable.section, variable.label, variable.note, variable.unit)
            yield from variable.codes.values()
        for one in form.derived:
            yield from (one.label, one.unit)
        for check in (*form.hard_checks, *form.soft_checks):
            yield check.message
        for constraint in form._meta.constraints:
            words = constraint.violation_error_message
            yield "" if words == constraint.default_violation_error_message else str(words)
