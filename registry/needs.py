"""What each method of a view needs of whoever asks: declared, or the view cannot be defined."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from registry.rights import Caller, Need


def wrap_methods(cls: type[Any], methods: Iterable[str], wrap: Callable[[Any], Any]) -> None:
    """Wrap those of `methods` that the view `cls` itself defines; raise TypeError for one that its `needs` lacks."""
    for method in methods:
        if method in cls.__dict__:
            if method not in cls.needs:
                raise TypeError(f"{cls.__qualname__}.needs does not say who may {method}.")
            setattr(cls, method, wrap(cls.__dict__[method]))


def is_let_in(by: Caller, needs: Mapping[str, Need], method: str | None) -> bool:
    """Return whether `by` holds what the HTTP `method` needs at one site at least.

    Where the site of what is addressed decides, the method itself asks, because a thing that the caller may not see
    is a 404 whatever they may do elsewhere.
    """
    need = needs["get" if method == "HEAD" else str(method).lower()]
    return need.there or need.held_by(by)
