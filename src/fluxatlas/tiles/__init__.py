"""Tiles as the stages share them: active cells, soil, forcing pieces, and tiles put together."""
