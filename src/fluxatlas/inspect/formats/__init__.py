"""Recognisers, one module per family of formats, each with ``recognise(probe) -> Report | None``."""
