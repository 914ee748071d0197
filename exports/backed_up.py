"""What a backup holds of jobs and endpoints: the files that people may still download, and the endpoint table."""

from collections.abc import Mapping
from typing import Final

FOLDERS: Final = ("exports",)
FIGURES: Final[Mapping[str, str]] = {
    "endpoint table": "SELECT encode(sha256(convert_to(summary_json, 'UTF8')), 'hex') FROM exports_cohortoutcome"
    " WHERE NOT outdated AND NOT EXISTS (SELECT FROM crf_chartchange)"
}


def compute() -> None:
    """Compute the endpoints of every patient anew, and the table."""
    from exports.endpoints.store import recompute_all  # noqa: PLC0415 -- scipy and lifelines are slow imports

    recompute_all()
