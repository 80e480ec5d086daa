"""The stage ``infer``."""
