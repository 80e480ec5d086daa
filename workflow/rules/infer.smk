# infer: the networks over every land cell and day, one job per tile and year, the state handed from year to year.
# In:  <results>/train/ensemble.json (the members), <results>/regrid/attributes/{tile}.nc, <results>/ingest/forcing/{tile}/{year}.nc
# Out: <results>/infer/{tile}/{year}.nc, <results>/infer/{tile}/{year}_state.nc
#
# The state of the year before is `ancient`: a tile-year can be rerun alone without waking the years after it.

# leaves that say how a job runs but do not change what it makes
NOT_IN_RESULT = ["workers", "memory_mb", "scheduler", "dask_address"]


rule spinup:
    input:
        ensemble="<results>/train/ensemble.json",
        attributes="<results>/regrid/attributes/{tile}.nc",
        series=RUN.series,
        forcing=lambda wc: [
            f"<results>/ingest/forcing/{wc.tile}/{year}.nc"
            for year in RUN.config.period.spinup_sequence
        ],
    output:
        f"<results>/infer/{{tile}}/{YEARS[0] - 1}_state.nc",
    log:
        "<results>/logs/infer/{tile}_spinup.log",
    benchmark:
        "<results>/benchmarks/infer/{tile}_spinup.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    threads: RUN.config.infer.workers
    resources:
        mem_mb=memory(RUN.config.infer.memory_mb),
        runtime=minutes(60),
    params:
        settings=settings("infer", without=NOT_IN_RESULT),
        grid=RUN.grid_options,
        series=RUN.series_options,
        scheduler=unwatched(RUN.scheduler_options),
        members=each("--member", RUN.paths.member(), member=MEMBERS),
        forcing=lambda wc, input: repeat("--forcing", input.forcing),
        version=STAGE_VERSIONS["infer"],
    shell:
        "fluxatlas infer spinup --settings {params.settings:q} {params.grid} --tile {wildcards.tile}"
        " {params.forcing} --attributes {input.attributes} {params.members} --state-out {output}"
        " {params.series} {params.scheduler} --workers {threads} --memory-mb {resources.mem_mb} 2> {log}"


rule infer:
    input:
        ensemble="<results>/train/ensemble.json",
        attributes="<results>/regrid/attributes/{tile}.nc",
        series=RUN.series,
        forcing="<results>/ingest/forcing/{tile}/{year}.nc",
        state=lambda wc: ancient(
            f"<results>/infer/{wc.tile}/{int(wc.year) - 1}_state.nc"
        ),
    output:
        flux="<results>/infer/{tile}/{year}.nc",
        state="<results>/infer/{tile}/{year}_state.nc",
    log:
        "<results>/logs/infer/{tile}_{year}.log",
    benchmark:
        "<results>/benchmarks/infer/{tile}_{year}.tsv"
    wildcard_constraints:
        year="|".join(str(year) for year in YEARS),
    conda:
        "../envs/fluxatlas.yaml"
    threads: RUN.config.infer.workers
    resources:
        mem_mb=memory(RUN.config.infer.memory_mb),
        runtime=minutes(60),
    params:
        settings=settings("infer", without=NOT_IN_RESULT),
        grid=RUN.grid_options,
        series=RUN.series_options,
        scheduler=unwatched(RUN.scheduler_options),
        members=each("--member", RUN.paths.member(), member=MEMBERS),
        version=STAGE_VERSIONS["infer"],
    shell:
        "fluxatlas infer tile --settings {params.settings:q} {params.grid} --tile {wildcards.tile}"
        " --year {wildcards.year} --forcing {input.forcing} --attributes {input.attributes} {params.members}"
        " --state-in {input.state} --output {output.flux} --state-out {output.state}"
        " {params.series} {params.scheduler} --workers {threads} --memory-mb {resources.mem_mb} 2> {log}"
