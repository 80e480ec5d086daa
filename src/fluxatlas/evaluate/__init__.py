"""The stage ``evaluate``."""
