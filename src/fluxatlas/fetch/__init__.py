"""Getting the data: files from the providers' archives, each checked before it gets its final name.

A *recipe* (``resources/fetch/<name>.yaml``) says where a data set is and how it is cut into files; a *route* (HTTP, the
climate data store, NASA Earthdata, a cloud Zarr store) delivers one file; :func:`fluxatlas.fetch.transfer.obtain` does
what is the same for all: one writer per file, resume, checksum, check, provenance, final name.
"""
