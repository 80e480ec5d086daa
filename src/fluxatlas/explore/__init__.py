"""``fluxatlas explore``: a multiscale store of a run, and a page in the browser that reads it (docs/explore.md)."""
