"""The stages in the order of the work: names of rules files, subpackages, subcommands and result folders."""

STAGE_VERSIONS = {
    "ingest": 4,
    "regrid": 3,
    "synthesize": 6,
    "train": 10,
    "infer": 3,
    "products": 3,
    "evaluate": 3,
    "report": 2,
}
"""Raise the number of a stage when its science changes: everything that it made is then stale."""

STAGES = tuple(STAGE_VERSIONS)
