"""Where a request comes from."""

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """Return the IP address of the client, None when the connection has none (a socket of this machine).

    Each proxy adds the address it was called from at the end of `X-Forwarded-For`. Of what stands there only the last
    `TRUSTED_PROXIES` entries were written by proxies of ours; whatever stands before them anybody can send.
    """
    proxies: int = settings.TRUSTED_PROXIES
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    if proxies and len(forwarded) >= proxies and (address := _valid(forwarded[-proxies])):
        return address
    return _valid(request.META.get("REMOTE_ADDR", ""))


def _valid(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None
