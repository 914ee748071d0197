"""`bin/bench [NAME ...]`: runs the benchmarks, each against the plain way of doing the same on this machine."""

import importlib
import os
import platform
import sys

BENCHMARKS = ("create", "bulk", "workbook", "endpoints", "isolation", "redcap", "chain", "pages")


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all, and print their lines."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.bench.bare.settings"
    import django  # noqa: PLC0415 -- after the settings are named

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 -- after django.setup

    call_command("migrate", verbosity=0)
    from tests.bench.data import see_everything  # noqa: PLC0415 -- after django.setup

    see_everything()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()}", flush=True)  # noqa: T201 -- it is a report
    for name in names or BENCHMARKS:
        for line in importlib.import_module(f"tests.bench.{name}").run():
            print(line, flush=True)  # noqa: T201 -- it is a report


if __name__ == "__main__":
    main(sys.argv[1:])
