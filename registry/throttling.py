"""How many calls a minute are answered: by token or session, by address, and by address after a wrong token.

The counters are in Valkey, shared by all web processes. Each lives for one minute of the clock. A process takes calls
from them in blocks, so that most requests wait for nobody; what it does not use of its last block nobody else can.
While Valkey is down nothing is counted and every request goes through: data entry goes on without it.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from ipaddress import IPv6Address, ip_network

import redis
from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _
from redis.backoff import NoBackoff
from redis.retry import Retry

from registry.addresses import address_of
from registry.problems import Problem

logger = logging.getLogger(__name__)

LOCAL = "local"
"""Where calls through a socket of this machine are counted, which come from no address."""
WINDOW = 60
"""Seconds in which calls are counted together."""
PATIENCE = 0.25
"""Seconds that a request waits for a counter."""
PAUSE = 5.0
"""Seconds for which nobody asks again after Valkey did not answer."""
BLOCKS = 100
"""In how many blocks a limit is taken: as much as one of them each process may refuse too early."""
LARGEST_BLOCK = 100
NETWORK_OF_A_CLIENT = 64
"""Bits of an IPv6 address that one client has; the rest it can change as it likes."""


def refuse_too_many(request: HttpRequest, *, now: float) -> None:
    """Count a request; raise a 429 problem beyond the limits of its token or session, or of its address."""
    limits = {f"address:{_client(request)}": settings.RATE_PER_ADDRESS}
    if carried := request.headers.get("Authorization") or request.COOKIES.get(settings.SESSION_COOKIE_NAME):
        # In capitals: the same token can be written in many ways. Hashed: a token is nowhere to be read.
        digest = hashlib.blake2b(carried.upper().encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        limits[f"token:{digest}"] = settings.RATE_PER_TOKEN
    _refuse_beyond(limits, now=now)


def refuse_too_many_failures(request: HttpRequest, *, now: float) -> None:
    """Count a request with a wrong token; raise a 429 problem when its address sent too many of them.

    Only wrong ones are refused: one mistaken script must not lock out everybody behind the same address.
    """
    _refuse_beyond({f"failures:{_client(request)}": settings.RATE_FAILURES_PER_ADDRESS}, now=now)


class Counters:
    """Counters in Valkey, each thread with a connection of its own."""

    def __init__(self, url: str) -> None:
        self._pool = redis.ConnectionPool.from_url(
            url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=Retry(NoBackoff(), 0)
        )
        self._thread = threading.local()
        self._ask_again_at = 0.0

    def add(self, amounts: Mapping[str, int]) -> list[int] | None:
        """Add to each counter and return what they stand at, None while Valkey is down."""
        if time.monotonic() < self._ask_again_at:
            return None
        try:
            found: list[int] = self._ask([("INCRBY", key, amount) for key, amount in amounts.items()])
            new = [key for (key, amount), count in zip(amounts.items(), found, strict=True) if count == amount]
            if new:
                self._ask([("EXPIRE", key, 2 * WINDOW) for key in new])
        except (redis.RedisError, OSError) as error:
            logger.warning("calls are not counted for now, the broker is not there: %s", type(error).__name__)
            self._ask_again_at = time.monotonic() + PAUSE
            if kept := self._thread.__dict__.pop("connection", None):
                kept.disconnect()
            return None
        return found

    def _ask(self, commands: Sequence[tuple[str | int, ...]]) -> list[int]:
        """Send all commands at once and return their answers.

        By the connection itself: what redis-py's client does around it takes longer than the round trip.
        """
        connection = self._thread.__dict__.setdefault("connection", None) or self._pool.make_connection()
        self._thread.connection = connection
        connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        return [connection.read_response() for _command in commands]


class Allowances:
    """What this process may still answer of each limit in the present minute."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._lock = threading.Lock()
        self._minute = 0
        self._left: dict[str, int] = {}

    def take(self, limits: Mapping[str, int], *, minute: int) -> bool:
        """Take one call of each limit; return whether there was one of each. There is while Valkey is down."""
        blocks = {
            name: max(1, min(limits[name] // BLOCKS, LARGEST_BLOCK)) for name in self._used_up(limits, minute=minute)
        }
        found = self._counters.add({f"rate:{name}:{minute}": block for name, block in blocks.items()}) if blocks else []
        if found is None:
            return True
        granted = {
            name: min(block, limits[name] - (count - block))
            for (name, block), count in zip(blocks.items(), found, strict=True)
        }
        with self._lock:
            if minute == self._minute:
                for name, calls in granted.items():
                    self._left[name] = self._left.get(name, 0) + max(calls - 1, 0)
        return all(calls > 0 for calls in granted.values())

    def _used_up(self, names: Iterable[str], *, minute: int) -> list[str]:
        """Take a call of each limit that has one left here; return the others."""
        with self._lock:
            if minute == self._minute - 1:  # began before the minute ended
                return list(names)
            if minute != self._minute:
                self._minute, self._left = minute, {}
            missing = [name for name in names if not self._left.get(name)]
            for name in names:
                if name not in missing:
                    self._left[name] -= 1
        return missing


@cache
def allowances() -> Allowances:
    """Return the allowances of this process; connections are made when they are first needed."""
    return Allowances(Counters(settings.BROKER_URL))


def _refuse_beyond(limits: dict[str, int], *, now: float) -> None:
    minute, second = divmod(int(now), WINDOW)
    if allowances().take(limits, minute=minute):
        return
    message = _("You sent more requests than are answered in a minute. Go on after the seconds in Retry-After.")
    raise Problem(429, "too_many_requests", message, headers={"Retry-After": str(WINDOW - second)})


def _client(request: HttpRequest) -> str:
    """Return the address that is counted: of IPv6 the network, because a client has all of it."""
    address = address_of(request) or LOCAL
    if ":" not in address:
        return address
    without_zone = IPv6Address(address.partition("%")[0])
    return str(ip_network((without_zone, NETWORK_OF_A_CLIENT), strict=False))
