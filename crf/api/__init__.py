"""The REST API of the forms: edges only, every decision is in crf.entry and below."""
