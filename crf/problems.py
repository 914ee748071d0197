"""What the refusals of the services beside the data stand for, in words: the same for the REST API and the pages."""

from django.utils.translation import gettext as _

from crf.attestations import AlreadyAttested
from crf.data_queries import WrongState
from crf.locks import AlreadyLocked, AlreadyUnlocked
from crf.refusals import NotAllowed
from registry.problems import Problem


def of_a_query(exc: Exception) -> Problem | None:
    """Return the problem that a refusal around data queries stands for, None for another exception."""
    match exc:
        case NotAllowed():
            return Problem(403, "not_allowed", _("Your role at this site does not allow this step of a query."))
        case WrongState():
            message = _("The query is %(state)s, so this step does not follow.") % {"state": exc.state.label}
            return Problem(409, "wrong_query_state", message, state=exc.state.value)
    return None


def of_a_lock(exc: Exception) -> Problem | None:
    """Return the problem that a refusal around locks stands for, None for another exception."""
    match exc:
        case NotAllowed():
            words = _("Your role at this site does not allow locking. Ask the data manager.")
            return Problem(403, "not_allowed", words)
        case AlreadyLocked():
            return Problem(409, "already_locked", _("There is a lock on exactly this already."))
        case AlreadyUnlocked():
            return Problem(409, "already_unlocked", _("The lock was lifted before."))
    return None


def of_an_attestation(exc: Exception) -> Problem | None:
    """Return the problem that a refusal to verify or sign stands for, None for another exception."""
    match exc:
        case NotAllowed():
            return Problem(403, "not_allowed", _("Your role at this site does not allow this."))
        case AlreadyAttested():
            return Problem(409, "already_attested", _("You or somebody else attested this, and it is in force."))
    return None
