"""The first pages: who may sign in does, and finds the way to the API from there."""

from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import LoginView, LogoutView
from django.utils import timezone
from django.views.generic import TemplateView

from registry.callers import caller_of
from registry.rights import Right, Role


class SignIn(LoginView):
    """User name and password."""

    template_name = "registry/sign_in.html"
    redirect_authenticated_user = True


class SignOut(LogoutView):
    """Ends the session; only a POST does."""


class Home(LoginRequiredMixin, TemplateView):
    """What the signed-in person may do, and where."""

    template_name = "registry/home.html"

    def get_context_data(self, **kwargs: object) -> dict[str, object]:
        """Return the roles and rights in force."""
        caller = caller_of(self.request.user.pk or 0, now=timezone.now())
        roles = caller.roles if caller else ()
        rights = {right: sorted(caller.sites_with(right)) for right in Right} if caller else {}
        return {
            **super().get_context_data(**kwargs),
            "roles": [(Role(role).label, site) for role, site in roles],
            "rights": {right.value.replace("_", " "): sites for right, sites in rights.items() if sites},
        }
