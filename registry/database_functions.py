"""The SQL functions that policies, triggers and every request stand on, as `manage.py migrate` installs them.

In a function the server keeps the plans of its statements, whatever pooler stands between.
"""

from typing import Final

ACTOR: Final = """
-- Who acts in this transaction, for the history: set by registry.acting, else the database role that got in.
CREATE OR REPLACE FUNCTION ecrf_actor() RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT COALESCE(
        NULLIF(current_setting('ecrf.actor', true), '')::jsonb,
        jsonb_build_object('door', 'sql', 'database_role', session_user)
    )
$$
"""

SITES: Final = """
-- The codes of the sites whose patients this transaction sees; null where none were set.
CREATE OR REPLACE FUNCTION ecrf_sites() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT string_to_array(current_setting('ecrf.sites', true), ',')
$$
"""

BEGIN_ACTING: Final = """
-- `seen_as` is the key of the person, or 'system'. All settings end with the transaction. Prepared statements keep
-- their first plan: each finds its rows by key, and planning it anew for its parameters takes longer than running it.
CREATE OR REPLACE FUNCTION ecrf_begin(actor text, seen_as text, sites text, idempotency_key text)
RETURNS TABLE (request_digest bytea, status smallint, headers jsonb, body bytea) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('ecrf.actor', actor, true), set_config('ecrf.person', seen_as, true),
            set_config('ecrf.sites', sites, true), set_config('plan_cache_mode', 'force_generic_plan', true);
    IF idempotency_key IS NOT NULL THEN
        -- Whoever repeats a request while the first is running waits for it.
        PERFORM pg_advisory_xact_lock(hashtextextended(idempotency_key, seen_as::bigint));
        RETURN QUERY SELECT a.request_digest, a.status, a.headers, a.body FROM registry_idempotentanswer a
            WHERE a.person_id = seen_as::bigint AND a.key = idempotency_key;
    END IF;
END
$$
"""

FIND_CALLER: Final = """
CREATE OR REPLACE FUNCTION ecrf_token(token_digest bytea, at timestamptz, today date, noted_since timestamptz)
RETURNS TABLE (person_id bigint, username text, token_id bigint, only_site text, memberships jsonb, sites jsonb,
               only_rights text[], use_is_noted boolean) LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY SELECT p.id, p.username::text, t.id, t.site_id::text,
        (SELECT jsonb_agg(jsonb_build_array(m.role, m.site_id)) FROM registry_membership m
          WHERE m.person_id = p.id AND m.starts_on <= today AND (m.ends_on IS NULL OR m.ends_on >= today)),
        (SELECT jsonb_agg(s.code) FROM registry_site s),
        t.rights::text[], COALESCE(t.last_used_at >= noted_since, false)
      FROM registry_token t JOIN registry_person p ON p.id = t.person_id
     WHERE t.digest = token_digest AND t.revoked_at IS NULL AND t.expires_at > at AND p.is_active;
END
$$
"""

LINK_STEP: Final = """
-- The digest of a row of the history: over the one before it and what the row says. In PL/pgSQL, because a function in
-- SQL takes several times as long as the step of an aggregate.
CREATE OR REPLACE FUNCTION ecrf_link_step(so_far bytea, before bytea, said text) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN sha256(COALESCE(so_far, before) || convert_to(said, 'UTF8'));
END
$$
"""
LINK: Final = """
-- Over rows in their order: the digest of each, the first following `before`.
CREATE OR REPLACE AGGREGATE ecrf_link(before bytea, said text) (SFUNC = ecrf_link_step, STYPE = bytea)
"""

FUNCTIONS: Final = (ACTOR, SITES, BEGIN_ACTING, FIND_CALLER, LINK_STEP, LINK)
