"""Data brought as files: the template, reading what comes back, the preview cell by cell, applying and undoing it.

Nothing here decides about data: cells become drafts for the entry service (`crf.upsert`), and what it says of them is
the preview.
"""
