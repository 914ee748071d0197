"""The names that the audit trail has for what it keeps the history of, for the translators."""

from collections.abc import Iterator

from registry.history import history_models, tracked_by


def names_in_the_trail() -> list[str]:
    """Return the names of tracked models and of their columns, once; variables of forms have labels instead."""
    return list(dict.fromkeys(_names()))


def _names() -> Iterator[str]:
    for model in map(tracked_by, history_models()):
        yield str(model._meta.verbose_name)
        for field in model._meta.concrete_fields:
            # Those that are translated where they are declared are no plain texts.
            if isinstance(field.verbose_name, str) and not hasattr(field, "label"):
                yield field.verbose_name
