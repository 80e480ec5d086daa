"""The stage ``regrid``."""
