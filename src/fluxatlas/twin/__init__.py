"""Two twin worlds with a hidden truth, *kind* and *realistic*: the whole chain on each, and one table of what it found.

See ``docs/synthetic_earth.md``.
"""
