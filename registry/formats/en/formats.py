"""Django looks for the formats of a language here."""

from registry.formats.iso import *  # noqa: F403 -- all of them, in every language
