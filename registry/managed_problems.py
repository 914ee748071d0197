"""What the refusals of registry/people.py, registry/tokens.py and registry/accounts/rescue.py are over HTTP."""

from registry import people
from registry.problems import Problem, not_found, request_error

CONFLICTS = frozenset(
    {
        "person_exists",
        "membership_exists",
        "site_exists",
        "membership_has_started",
        "last_data_manager",
        "no_email",
        "no_codes",
        "own_account",
        "not_active",
    }
)


def managed_problem(exc: Exception) -> Problem | None:
    """Return the problem that a refusal of registry/people.py or registry/tokens.py stands for, None for another."""
    match exc:
        case people.NotThere():
            return not_found()
        case people.NotManaged():
            return Problem(403, "not_allowed", str(exc))
        case people.Contradiction():
            status = 409 if exc.code in CONFLICTS else 400
            return Problem(status, exc.code, exc.message, errors=[request_error(exc.field, exc.code, exc.message)])
    return None
