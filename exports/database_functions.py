"""SQL functions that tell everybody how the endpoints stand, and nothing of the patients and jobs behind it."""

from typing import Final

ARE_STALE: Final = """
-- Whether a change of the data, at whatever site, is not in the summary yet.
CREATE OR REPLACE FUNCTION ecrf_endpoints_are_stale() RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    RETURN EXISTS (SELECT FROM crf_chartchange)
        OR NOT EXISTS (SELECT FROM exports_cohortoutcome WHERE NOT outdated);
END
$$
"""

ARE_BEING_COMPUTED: Final = """
-- Whether somebody's computation waits or runs.
CREATE OR REPLACE FUNCTION ecrf_endpoints_are_being_computed() RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    RETURN EXISTS (SELECT FROM exports_job WHERE kind = 'endpoints' AND state IN ('waiting', 'running'));
END
$$
"""

FUNCTIONS: Final = (ARE_STALE, ARE_BEING_COMPUTED)
