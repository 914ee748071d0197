"""REDCap's API for one classic project with repeating instruments: what PyCap, REDCapR and redcapAPI speak.

`door.py` is the address; `calls.py` reads what came, `contents.py` finds who answers it; one module an area answers.
What clients send and expect is told in docs/redcap.md.
"""
