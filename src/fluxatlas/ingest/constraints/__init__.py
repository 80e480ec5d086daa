"""Gridded constraints: observations on a grid that a network is held to, beside the towers."""
