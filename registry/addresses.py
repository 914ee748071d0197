"""From which address a request comes, also where proxies stand in front."""

from contextlib import suppress
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def address_of(request: HttpRequest) -> str | None:
    """Return the IP address of the client in its canonical form, None where there is none (a local socket).

    Each proxy appends the address that it was called from to `X-Forwarded-For`. With `TRUSTED_PROXIES` of them in
    front, the entry so many places from the right was written by ours; what stands left of it anybody can write.
    Without it the proxy's own address is what is known.
    """
    peer = _canonical(request.META.get("REMOTE_ADDR", ""))
    if not settings.TRUSTED_PROXIES:
        return peer
    entries = request.headers.get("X-Forwarded-For", "").split(",")
    if len(entries) < settings.TRUSTED_PROXIES:
        return peer
    return _canonical(entries[-settings.TRUSTED_PROXIES]) or peer


def _canonical(text: str) -> str | None:
    """Return an address as it is always written; one that was mapped from IPv4 to IPv6 as IPv4."""
    with suppress(ValueError):
        address = ip_address(text.strip())
        return str(getattr(address, "ipv4_mapped", None) or address)
    return None
