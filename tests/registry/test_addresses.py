"""From which address a request comes: nobody chooses their own."""

import pytest
from django.test import RequestFactory

from registry.addresses import address_of


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "expected"),
    [
        (0, "203.0.113.5", None, "203.0.113.5"),
        (0, "203.0.113.5", "198.51.100.1", "203.0.113.5"),
        (0, "", None, None),
        (0, "2001:DB8:0::1", None, "2001:db8::1"),
        (0, "::ffff:203.0.113.5", None, "203.0.113.5"),
        (1, "10.0.0.1", "203.0.113.5", "203.0.113.5"),
        (1, "10.0.0.1", "198.51.100.1, 203.0.113.5", "203.0.113.5"),
        (1, "10.0.0.1", None, "10.0.0.1"),
        (1, "10.0.0.1", "nonsense", "10.0.0.1"),
        (1, "", "nonsense", None),
        (2, "10.0.0.1", "198.51.100.1, 203.0.113.5, 10.0.0.2", "203.0.113.5"),
        (2, "10.0.0.1", "203.0.113.5", "10.0.0.1"),
    ],
)
def test_the_address_is_the_one_that_the_first_proxy_of_ours_saw(proxies, peer, forwarded, expected, settings):
    settings.TRUSTED_PROXIES = proxies
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    request = RequestFactory(REMOTE_ADDR=peer, headers=headers).get("/")

    assert address_of(request) == expected
