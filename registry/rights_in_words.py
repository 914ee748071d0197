"""The rights in words, for people."""

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from registry.rights import Right

WORDS: Final[Mapping[Right, Any]] = {
    Right.READ: _("Read entries"),
    Right.ENTER: _("Enter and change entries"),
    Right.OPEN_QUERY: _("Open data queries"),
    Right.ANSWER_QUERY: _("Answer data queries"),
    Right.CLOSE_QUERY: _("Close data queries"),
    Right.LOCK: _("Lock and unlock"),
    Right.VERIFY: _("Verify against the source"),
    Right.SIGN: _("Sign"),
    Right.SEE_POOLED_ENDPOINTS: _("See the endpoints of all sites, without identifiers"),
    Right.EXPORT_WITH_IDENTIFIERS: _("Export the own sites, with identifiers"),
    Right.EXPORT_POOLED_DEIDENTIFIED: _("Export all sites, de-identified"),
    Right.EXPORT_POOLED_WITH_IDENTIFIERS: _("Export all sites, with identifiers"),
    Right.MANAGE: _("Manage people, roles and sites"),
}
"""Each right as a person reads it, in the order of the table of rights."""
