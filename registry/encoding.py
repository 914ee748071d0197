"""JSON out: one encoder for every answer, so that a value is spelled the same wherever it appears."""

import msgspec

encode_json = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode
"""Return any value as JSON bytes: dates as ISO 8601, decimals as numbers, partial dates as their text."""
