"""`python -m registry.probe ADDRESS`: asks our own web server, as its container's health check does.

The request names a host that is allowed and says that TLS ended before it, as a proxy would. Exit status 0 if
the answer is a success.
"""

import http.client
import os
import sys

SECONDS = 4


def is_well(path: str, *, port: int = 8000) -> bool:
    """Return whether our web server on this machine answers a path with success."""
    host = os.environ.get("ALLOWED_HOSTS", "127.0.0.1").split(",")[0].lstrip(".*") or "127.0.0.1"
    server = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        server.request("GET", path, headers={"Host": host, "X-Forwarded-Proto": "https"})
        return server.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(not is_well(sys.argv[1]))
