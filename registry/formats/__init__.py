"""How numbers, dates and moments are shown: the same in every language (FORMAT_MODULE_PATH)."""
