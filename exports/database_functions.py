"""SQL functions on how endpoints and jobs stand, which tell nothing of patients.

The jobs themselves are for who asked for them (row-level security); who manages sites may see and end those of the
sites, which exports/managed_jobs.py asks for.
"""

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

JOBS_OF_SITES: Final = """
-- Jobs, whoever asked for them, of sites that are all among those given and among those of the transaction; the
-- latest first. What they are about (filters may name values) and their files stay with who asked.
CREATE OR REPLACE FUNCTION ecrf_jobs_of_sites(managed text[], at_most integer, after integer)
RETURNS TABLE (id uuid, kind text, state text, progress integer, error text, attempts integer, sites text[],
               username text, created_at timestamptz, started_at timestamptz, finished_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    RETURN QUERY SELECT job.id, job.kind::text, job.state::text, job.progress::integer, job.error,
        job.attempts::integer, job.sites::text[], person.username::text, job.created_at, job.started_at, job.finished_at
      FROM exports_job job LEFT JOIN registry_person person ON person.id = job.requested_by_id
     WHERE job.sites::text[] <@ managed AND job.sites::text[] <@ ecrf_sites()
     ORDER BY job.created_at DESC, job.id LIMIT at_most OFFSET after;
END
$$
"""

CANCEL_JOB: Final = """
-- Ends a job of these sites; returns whether it had not ended, null where there is none.
CREATE OR REPLACE FUNCTION ecrf_cancel_job(job_id uuid, managed text[]) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE exports_job SET state = 'cancelled', claim = NULL, heartbeat_at = NULL, finished_at = now()
     WHERE id = job_id AND state IN ('waiting', 'running') AND sites::text[] <@ managed
       AND sites::text[] <@ ecrf_sites();
    IF FOUND THEN RETURN true; END IF;
    RETURN (SELECT false FROM exports_job WHERE id = job_id AND sites::text[] <@ managed
               AND sites::text[] <@ ecrf_sites());
END
$$
"""

RESTART_JOB: Final = """
-- Has a job of these sites wait again, for who asked for it; returns whether it had failed, null where there is none.
CREATE OR REPLACE FUNCTION ecrf_restart_job(job_id uuid, managed text[]) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE exports_job SET state = 'waiting', attempts = 0, progress = 0, rows = '{}', error = '', error_code = '',
           started_at = NULL, finished_at = NULL, rung_at = now()
     WHERE id = job_id AND state = 'failed' AND sites::text[] <@ managed
       AND sites::text[] <@ ecrf_sites();
    IF FOUND THEN RETURN true; END IF;
    RETURN (SELECT false FROM exports_job WHERE id = job_id AND sites::text[] <@ managed
               AND sites::text[] <@ ecrf_sites());
END
$$
"""

FUNCTIONS: Final = (
    ARE_STALE,
    ARE_BEING_COMPUTED,
    OPEN_JOBS,
    JOBS,
    JOBS_OF_SITES,
    CANCEL_JOB,
    RESTART_JOB,
)
