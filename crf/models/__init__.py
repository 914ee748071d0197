"""The forms: one file each. Every module of this package is imported, so that a form is added by adding its file."""

from importlib import import_module
from pkgutil import iter_modules

for module in iter_modules(__path__, prefix=f"{__name__}."):
    import_module(module.name)
