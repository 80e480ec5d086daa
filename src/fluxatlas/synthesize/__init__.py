"""The stage ``synthesize``."""
