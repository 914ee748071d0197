"""The data access group that a token was switched to through REDCap's API."""

from typing import ClassVar

from django.db import models

from registry.models import Site, Token
from registry.row_security import SHARED, Access


class ChosenGroup(models.Model):
    """The one site, of those that a token may see, to which its owner has confined it for now.

    It only ever narrows: without the row the token has the limits that it was made with.
    """

    access: ClassVar[Access] = SHARED

    token = models.OneToOneField(Token, on_delete=models.CASCADE, primary_key=True, related_name="+")
    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"token {self.token_id} at {self.site_id}"
