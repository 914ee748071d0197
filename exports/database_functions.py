"""SQL functions that tell everybody how endpoints and jobs stand, and nothing of the patients and people behind it."""

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

OPEN_JOBS: Final = """
-- Seconds that the oldest waiting job waits, and since a running one last showed that it lives; null where none is.
CREATE OR REPLACE FUNCTION ecrf_open_jobs() RETURNS TABLE (waits double precision, silent double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    RETURN QUERY SELECT
        (max(extract(epoch FROM clock_timestamp() - created_at)) FILTER (WHERE state = 'waiting'))::float8,
        min(extract(epoch FROM clock_timestamp() - heartbeat_at))::float8
      FROM exports_job WHERE state IN ('waiting', 'running');
END
$$
"""

JOBS: Final = """
-- How many jobs there are of each kind and state.
CREATE OR REPLACE FUNCTION ecrf_jobs() RETURNS TABLE (kind text, state text, number bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    RETURN QUERY SELECT job.kind::text, job.state::text, count(*) FROM exports_job job GROUP BY 1, 2;
END
$$
"""

FUNCTIONS: Final = (ARE_STALE, ARE_BEING_COMPUTED, OPEN_JOBS, JOBS)
