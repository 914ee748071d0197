"""SQL functions that filters call (crf/filters). None of them fails, whatever it is given; blank is NULL.

They are functions so that an argument is worked out once, however often it is used. Without exception handlers, which
parallel workers of PostgreSQL may not have.
"""

from typing import Final

_STRICT: Final = {
    # What looks like a number: as in crf/logic.py.
    "ecrf_number(t text)": (
        "numeric",
        """
        BEGIN
            IF t ~ '^[+-]?[0-9]{1,30}([.][0-9]{1,30})?$' THEN
                RETURN t::numeric;
            END IF;
            RETURN NULL;
        END
        """,
    ),
    # Results of arithmetic: to 16 decimals, blank beyond 30 digits, so that nothing grows without end.
    "ecrf_bounded(n numeric)": (
        "numeric",
        """
        BEGIN
            IF n > -1e30 AND n < 1e30 THEN
                RETURN round(n, 16);
            END IF;
            RETURN NULL;
        END
        """,
    ),
    # Whether two texts, not both blank, are the same word or the same number.
    "ecrf_alike(a text, b text)": (
        "boolean",
        """
        BEGIN
            RETURN a = b OR COALESCE(ecrf_number(a) = ecrf_number(b), FALSE);
        END
        """,
    ),
    # -1, 0 or 1: two numbers as numbers, others by their characters.
    "ecrf_order(a text, b text)": (
        "integer",
        """
        DECLARE
            x numeric := ecrf_number(a);
            y numeric := ecrf_number(b);
        BEGIN
            IF x IS NOT NULL AND y IS NOT NULL THEN
                RETURN sign(x - y)::integer;
            END IF;
            RETURN CASE WHEN a COLLATE "C" < b COLLATE "C" THEN -1 WHEN a COLLATE "C" > b COLLATE "C" THEN 1 ELSE 0 END;
        END
        """,
    ),
    "ecrf_power(base numeric, exponent numeric)": (
        "numeric",
        """
        DECLARE
            digits numeric;
        BEGIN
            IF base = 0 THEN
                RETURN CASE WHEN exponent > 0 THEN 0 WHEN exponent = 0 THEN 1 END;
            END IF;
            IF base < 0 AND exponent <> trunc(exponent) THEN
                RETURN NULL;
            END IF;
            digits := exponent * log(abs(base));
            IF digits > 30 THEN
                RETURN NULL;
            END IF;
            IF digits < -30 THEN
                RETURN 0;
            END IF;
            IF abs(exponent) > 1000000 THEN
                -- So close to 1 that only its sign is left to lose.
                RETURN exp(exponent * ln(abs(base))) * CASE WHEN base < 0 AND mod(exponent, 2) <> 0 THEN -1 ELSE 1 END;
            END IF;
            RETURN power(base, exponent);
        END
        """,
    ),
    "ecrf_root(n numeric)": (
        "numeric",
        """
        BEGIN
            IF n >= 0 THEN
                RETURN sqrt(n);
            END IF;
            RETURN NULL;
        END
        """,
    ),
    "ecrf_exp(n numeric)": (
        "numeric",
        """
        BEGIN
            RETURN CASE WHEN n > 70 THEN NULL WHEN n < -70 THEN 0 ELSE exp(n) END;
        END
        """,
    ),
    "ecrf_ln(n numeric)": (
        "numeric",
        """
        BEGIN
            IF n > 0 THEN
                RETURN ln(n);
            END IF;
            RETURN NULL;
        END
        """,
    ),
    "ecrf_rounded(n numeric, decimals numeric, way text)": (
        "numeric",
        """
        DECLARE
            places integer := least(greatest(trunc(decimals), -30), 16)::integer;
            step numeric := CASE WHEN places > 0 THEN 1 / (10::numeric ^ places) ELSE 10::numeric ^ (-places) END;
        BEGIN
            IF way = 'nearest' THEN
                RETURN round(n, places);
            END IF;
            RETURN round(CASE WHEN way = 'up' THEN ceil(n / step) ELSE floor(n / step) END * step, greatest(places, 0));
        END
        """,
    ),
    # A whole date of the calendar, with or without a time of day.
    "ecrf_moment(t text)": (
        "timestamp",
        """
        DECLARE
            part text[] := regexp_match(t, '^(\\d{4})-(\\d{2})-(\\d{2})(?:[ T](\\d{2}):(\\d{2})(?::(\\d{2}))?)?$');
            y integer := part[1];
            m integer := part[2];
            d integer := part[3];
            h integer := COALESCE(part[4], '0');
            i integer := COALESCE(part[5], '0');
            s integer := COALESCE(part[6], '0');
        BEGIN
            IF part IS NULL OR y < 1 OR m NOT BETWEEN 1 AND 12 OR d < 1 OR h > 23 OR i > 59 OR s > 59 THEN
                RETURN NULL;
            END IF;
            IF d > extract(day FROM make_date(y, m, 1) + interval '1 month - 1 day') THEN
                RETURN NULL;
            END IF;
            RETURN make_timestamp(y, m, d, h, i, s);
        END
        """,
    ),
    # Completed years, or to the day; blank before birth.
    "ecrf_age(born timestamp, at timestamp, exactly boolean)": (
        "numeric",
        """
        BEGIN
            IF at < born THEN
                RETURN NULL;
            END IF;
            IF exactly THEN
                RETURN (at::date - born::date) / 365.2425;
            END IF;
            RETURN extract(year FROM age(at::date, born::date));
        END
        """,
    ),
}
_NOT_STRICT = {
    # Whether two texts are the same; blank is the same as blank.
    "ecrf_same(a text, b text)": (
        "boolean",
        """
        BEGIN
            RETURN COALESCE(ecrf_alike(a, b), a IS NULL AND b IS NULL);
        END
        """,
    ),
}


def _made(signature: str, gives: str, body: str, *, strict: str) -> str:
    options = f"LANGUAGE plpgsql IMMUTABLE {strict} PARALLEL SAFE"
    return f"CREATE OR REPLACE FUNCTION {signature} RETURNS {gives} {options} AS $$ {body} $$"


FUNCTIONS: Final = (
    *(_made(signature, *told, strict="STRICT") for signature, told in _STRICT.items()),
    *(_made(signature, *told, strict="") for signature, told in _NOT_STRICT.items()),
)
