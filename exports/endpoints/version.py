"""Which rules these are: with another version of any of them, everything that was computed before differs."""

import hashlib
from pathlib import Path

from crf import derivations
from exports.endpoints import chart, cohort, evidence, history, outcome, response, rules, survival, treatment

MODULES = (chart, cohort, derivations, evidence, history, outcome, response, rules, survival, treatment)
RULES = hashlib.sha256(b"".join(Path(str(module.__file__)).read_bytes() for module in MODULES)).digest()
"""Digest of the rules as they are written."""
