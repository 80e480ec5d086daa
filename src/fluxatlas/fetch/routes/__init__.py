"""The routes: each module has ``deliver(item, partial, context) -> Delivery``."""
