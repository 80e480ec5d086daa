"""The stage ``report``."""
