"""``fluxatlas inspect``: says what a file or folder is, what is in it, what is suspicious and how it would be used.

:mod:`report` is what comes out (and the JSON schema), :mod:`registry` finds the recogniser, :mod:`formats` holds one
module per family of formats, :mod:`checks`, :mod:`times` and :mod:`places` judge values, times and positions,
:mod:`screen` and :mod:`draw` show the result. Parsing is that of :mod:`fluxatlas.ingest` wherever it has a reader.
"""
