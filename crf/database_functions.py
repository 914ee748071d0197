"""SQL functions of locks, data queries, attestations and filters, as `manage.py migrate` installs them.

They run with the rights of whoever calls: a trigger's as the owner of the tables, the application's as its own role.
"""

from typing import Final

from crf.filters.database_functions import FUNCTIONS as OF_FILTERS

DOOR: Final = """
-- The door of this transaction, for the steps of queries.
CREATE OR REPLACE FUNCTION crf_door() RETURNS text LANGUAGE sql STABLE AS $$ SELECT ecrf_actor()->>'door' $$
"""

IS_LOCKED: Final = """
-- Whether a lock in force covers the entry: on itself, its form of the patient, the patient or the site.
CREATE OR REPLACE FUNCTION crf_is_locked(of_site text, of_record_id text, of_form text, of_instance integer)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM crf_lock l WHERE l.unlocked_at IS NULL AND l.record_id = of_record_id
           AND (l.form IS NULL OR l.form = of_form) AND (l.instance IS NULL OR l.instance = of_instance)
    ) OR EXISTS (
        SELECT FROM crf_lock l WHERE l.unlocked_at IS NULL AND l.record_id IS NULL AND l.site_id = of_site
    );
END
$$
"""

DROP_ATTESTATIONS: Final = """
-- Drop what was attested of an entry whose row changed from `before` to `after` (null: it went), and say why.
CREATE OR REPLACE FUNCTION crf_drop_attestations(of_form text, before jsonb, after jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    patients text[] := ARRAY[before->>'record_id', after->>'record_id'];
    of_instance integer := (before->>'instance')::integer;
    now_at integer := (after->>'version')::integer;
    variables text[] := CASE WHEN after IS NULL THEN '{deleted_at}' ELSE (
        SELECT array_agg(CASE o.key WHEN 'site_id' THEN 'site' ELSE o.key END ORDER BY o.key)
          FROM jsonb_each(before) o JOIN jsonb_each(after) n USING (key)
         WHERE o.value IS DISTINCT FROM n.value
           AND o.key NOT IN ('id', 'number', 'version', 'locked', 'created_at', 'updated_at')
    ) END;
BEGIN
    UPDATE crf_verification SET dropped_at = clock_timestamp(), dropped_version = now_at,
           dropped_variables = variables, dropped_by = ecrf_actor()
     WHERE record_id = ANY(patients) AND form = of_form AND instance = of_instance AND dropped_at IS NULL;
    UPDATE crf_signature SET dropped_at = clock_timestamp(), dropped_version = now_at,
           dropped_variables = variables, dropped_by = ecrf_actor()
     WHERE record_id = ANY(patients) AND form = of_form AND instance = of_instance AND dropped_at IS NULL;
END
$$
"""

SETTLE_QUERIES: Final = """
-- Bring the queries of soft checks in line with what the checks found: of the entries `evaluated` those that are no
-- longer raised are closed; what is among the `findings` is opened, opened again or renewed. Arrays of objects.
CREATE OR REPLACE FUNCTION crf_settle_queries(
    evaluated json, findings json, acting_person bigint, settled_at timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF json_array_length(findings) = 0 AND NOT EXISTS (
        SELECT FROM json_to_recordset(evaluated) AS e(record_id text, form text, instance integer)
          JOIN crf_dataquery q USING (record_id, form, instance)
         WHERE q.origin = 'soft_check' AND q.state <> 'closed'
    ) THEN
        RETURN;
    END IF;
    WITH looked_at AS (
        SELECT * FROM json_to_recordset(evaluated) AS e(record_id text, form text, instance integer)
    ), raised AS (
        SELECT * FROM json_to_recordset(findings)
            AS f(record_id text, form text, instance integer, variable text, check_code text,
                 site_id text, text text, basis text)
    ), known AS (
        SELECT q.id, q.site_id, q.record_id, q.state, q.closed_by_id, q.basis AS former_basis, q.text AS former_text,
               r.text, r.basis
          FROM looked_at JOIN crf_dataquery q USING (record_id, form, instance)
          LEFT JOIN raised r USING (record_id, form, instance, variable, check_code)
         WHERE q.origin = 'soft_check'
    ), closed AS (
        UPDATE crf_dataquery q SET state = 'closed', closed_at = settled_at
          FROM known k WHERE k.id = q.id AND k.text IS NULL AND k.state <> 'closed'
        RETURNING q.id, q.site_id, q.record_id, 'closed_by_system' AS kind, '' AS text
    ), reopened AS (
        -- What somebody closed by hand stays closed for the values they saw.
        UPDATE crf_dataquery q
           SET state = 'open', closed_at = NULL, closed_by_id = NULL, text = k.text, basis = k.basis
          FROM known k WHERE k.id = q.id AND k.text IS NOT NULL AND k.state = 'closed'
           AND (k.closed_by_id IS NULL OR k.basis <> k.former_basis)
        RETURNING q.id, q.site_id, q.record_id, 'reopened_by_system' AS kind, q.text
    ), renewed AS (
        UPDATE crf_dataquery q SET text = k.text, basis = k.basis
          FROM known k WHERE k.id = q.id AND k.state <> 'closed'
           AND (k.text <> k.former_text OR k.basis <> k.former_basis)
    ), opened AS (
        INSERT INTO crf_dataquery (site_id, record_id, form, instance, variable, text, origin, check_code, basis, state,
                                   opened_at)
        SELECT r.site_id, r.record_id, r.form, r.instance, r.variable, r.text, 'soft_check', r.check_code, r.basis,
               'open', settled_at
          FROM raised r
            ON CONFLICT (record_id, form, instance, check_code, variable) WHERE origin = 'soft_check' DO NOTHING
        RETURNING id, site_id, record_id, 'opened_by_system' AS kind, text
    )
    INSERT INTO crf_dataquerystep (query_id, site_id, record_id, kind, text, person_id, at)
    SELECT s.id, s.site_id, s.record_id, s.kind, s.text, acting_person, settled_at
      FROM (TABLE closed UNION ALL TABLE reopened UNION ALL TABLE opened) AS s ORDER BY s.id;
END
$$
"""

FUNCTIONS: Final = (DOOR, IS_LOCKED, DROP_ATTESTATIONS, SETTLE_QUERIES, *OF_FILTERS)
