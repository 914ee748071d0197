"""What every page stands on: who looks, one transaction, and forms that count once however often they are sent.

Deny by default, as in the REST API: a page declares what each of its methods needs of the person, or it cannot be
defined.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import SimpleTemplateResponse
from django.utils.translation import gettext as _
from django.views.generic import View

from registry import repeats
from registry.acting import AnsweredBefore, Door, acting
from registry.error_pages import page_of
from registry.needs import is_let_in, wrap_methods
from registry.problems import Problem, bad_request, problem_of
from registry.reasons import read_reason
from registry.rights import Caller, Need
from registry.signed_in import caller_behind

METHODS = ("get", "post")
ONCE = "once"
"""The field of a page's form whose value makes a repeat of it return the first answer; see `{% once %}`."""
REASON = "reason"
"""The field of a page's form with the reason for a change."""
MAX_ONCE = 100
NOT_TOLD_APART_BY = frozenset({"csrfmiddlewaretoken", "password"})
"""Fields that are left out of what is kept of a form: a quick digest would give a password away."""


class PageView(View):
    """A page. Each method runs in one transaction in which the database knows who acts; an error undoes it.

    A method returns a response, of which a template is rendered inside the transaction. A POST with the field `once`
    that ends in a redirect is answered once: whoever clicks twice is sent to the same place.
    """

    needs: ClassVar[Mapping[str, Need]] = {}
    """What each method needs of the person; checked before it runs."""
    by: Caller
    """The person behind the request, with the rights in force."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Wrap the methods that the class defines; raise TypeError for one that does not say what it needs."""
        super().__init_subclass__(**kwargs)
        wrap_methods(cls, METHODS, _in_transaction)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Answer with a page that says what is wrong where the request cannot be done."""
        try:
            return super().dispatch(request, *args, **kwargs)
        except PermissionDenied:
            raise
        except Exception as error:
            problem = self.problem_of(error)
            if problem is None:
                raise
            return page_of(problem, request=request)

    def problem_of(self, error: Exception) -> Problem | None:
        """Return the problem that an exception stands for; layers above add their own."""
        return problem_of(error)


def _authorised(view: PageView, request: HttpRequest) -> Caller:
    """Return the person behind the request; raise PermissionDenied unless they hold what the method needs somewhere."""
    by = caller_behind(request)
    if by is None or not is_let_in(by, view.needs, request.method):
        raise PermissionDenied
    return by


def _in_transaction(method: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Run a method of a page in one transaction; a form that is sent again at most once."""

    def run(view: PageView, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        view.by = by = _authorised(view, request)
        reason = read_reason(request.POST.get(REASON, ""), given_in=REASON)
        once = request.POST.get(ONCE, "")
        if not once:
            with acting(by, door=Door.PAGE, reason=reason):
                return _rendered(method(view, request, *args, **kwargs))
        if len(once) > MAX_ONCE or not once.isascii() or not once.isprintable():
            raise bad_request(ONCE, "invalid", _("Load the page again: it was changed on its way."))
        key, digest = f"page:{once}", repeats.digest_of(request, _sent(request))
        try:
            with acting(by, door=Door.PAGE, reason=reason, idempotency_key=key):
                response = _rendered(method(view, request, *args, **kwargs))
                kept_of_it = _kept_of(response)
                if kept_of_it is not None:
                    repeats.keep(kept_of_it, key=key, by=by, digest=digest)
                return response
        except AnsweredBefore as before:
            return repeats.first_answer(digest, *before.kept)

    run.__doc__ = method.__doc__
    run.__name__ = method.__name__
    return run


def _kept_of(response: HttpResponse) -> HttpResponse | None:
    """Return what a repeat of the form gets: the same redirect, never a secret; None where nothing counted."""
    if isinstance(response, repeats.ShownOncePage):
        return HttpResponse(status=303, headers={"Location": response.instead})
    return response if response.headers.get("Location") else None


def _rendered(response: HttpResponse) -> HttpResponse:
    """Render a template while the transaction lasts: what it reads is read as its person."""
    return response.render() if isinstance(response, SimpleTemplateResponse) else response


def _sent(request: HttpRequest) -> bytes:
    fields = [(name, value) for name, values in request.POST.lists() for value in values]
    for name, files in request.FILES.lists():
        for file in files:
            fields.append((name, hashlib.sha256(file.read()).hexdigest()))
            file.seek(0)
    return urlencode(sorted(field for field in fields if field[0] not in NOT_TOLD_APART_BY)).encode()
