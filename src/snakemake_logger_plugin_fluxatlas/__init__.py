"""The name under which Snakemake finds the progress display of fluxatlas (``--logger fluxatlas``)."""

from fluxatlas.progress import LogHandler

__all__ = ["LogHandler"]
