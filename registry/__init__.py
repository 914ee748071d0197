"""The Django project, and what every form stands on."""

__version__ = "0.1.0"
