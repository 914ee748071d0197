"""Whose address counts, with proxies of ours before us and without."""

import pytest
from django.test import RequestFactory

from registry.addresses import client_address


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, None, "10.0.0.9"),
        (0, "192.0.2.1", "10.0.0.9"),
        (1, None, "10.0.0.9"),
        (1, "192.0.2.1", "192.0.2.1"),
        (1, "198.51.100.7, 192.0.2.1", "192.0.2.1"),
        (2, "198.51.100.7, 192.0.2.1, 10.0.0.8", "192.0.2.1"),
        (2, "192.0.2.1", "10.0.0.9"),
        (1, "2001:DB8::1", "2001:db8::1"),
        (1, "unknown", "10.0.0.9"),
        (1, "192.0.2.1'; --", "10.0.0.9"),
    ],
)
def test_only_what_proxies_of_ours_wrote_counts(proxies, forwarded, address, settings):
    settings.TRUSTED_PROXIES = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}

    assert client_address(RequestFactory(headers=headers).get("/", REMOTE_ADDR="10.0.0.9")) == address


def test_a_socket_has_no_address():
    assert client_address(RequestFactory().get("/", REMOTE_ADDR="")) is None
