"""The stage ``products``."""
