# infer: the networks over every land cell and day, one job per tile and year, the state handed from year to year.
# In:  <results>/train/ensemble.json (the members), <results>/regrid/attributes/{tile}.nc, <results>/ingest/forcing/{tile}/{year}.nc
#      with infer.ensemble: student also <results>/synthesize/samples.nc
# Out: <results>/infer/{tile}/{year}.nc, <results>/infer/{tile}/{year}_state.nc, <results>/infer/{tile}/spinup_{year}.nc
#
# What a year owes to the years before is in <results>/infer/history (members, settings, forcing), a real input. The state
# itself is `ancient` where the tile-year is newer than all else that it is made of: a tile-year that was deleted is made
# again without waking the years after it. See docs/decisions/0007-exactly-what-changed.md.

SPINUP = (
    "fluxatlas infer spinup --settings {params.settings:q} {params.grid:q} --tile {wildcards.tile:q}"
    " {params.forcing:q} --attributes {input.attributes:q} {params.members:q} --state-out {output:q}"
    " --before {params.before:q} {params.student:q} {params.series:q} --workers {threads:q} --memory-mb {resources.own_mb:q} 2> {log:q}"
)
TILE_YEAR = (
    "fluxatlas infer tile --settings {params.settings:q} {params.grid:q} --tile {wildcards.tile:q}"
    " --year {wildcards.year:q} --forcing {input.forcing:q} --attributes {input.attributes:q} {params.members:q}"
    " --state-in {input.state:q} --output {output.flux:q} --state-out {output.state:q}"
    " {params.student:q} {params.series:q} --workers {threads:q} --memory-mb {resources.own_mb:q} 2> {log:q}"
)


if RUN.student:

    rule student:  # one network in place of the members; tried at places that it never saw
        input:
            ensemble="<trained>/ensemble.json",
            samples="<results>/synthesize/samples.nc",
        output:
            student="<results>/infer/student.pt",
            errors="<results>/infer/student_errors.csv",
        log:
            "<results>/logs/infer/student.log",
        benchmark:
            "<results>/benchmarks/infer/student.tsv"
        conda:
            "../envs/fluxatlas.yaml"
        threads: 1
        resources:
            mem_mb=memory(4000),
            runtime=minutes(240),
        params:
            settings=settings("student"),
            members=each("--member", RUN.member(), member=MEMBERS),
            checkpoint=RUN.paths("infer", "checkpoints", "student.pt"),
            version=STAGE_VERSIONS["infer"],
        shell:
            "fluxatlas infer student --settings {params.settings:q} {params.members:q} --samples {input.samples:q}"
            " --output {output.student:q} --errors {output.errors:q} --checkpoint {params.checkpoint:q} 2> {log:q}"


rule history_start:
    input:
        ensemble="<trained>/ensemble.json",
        student=RUN.student,
        series=RUN.series,
        forcing=expand(
            "<results>/ingest/forcing/{tile}/{year}.nc",
            tile=TILES,
            year=sorted(set(RUN.period.spinup_sequence)),
        ),
    output:
        "<results>/infer/history/start.json",
    log:
        "<results>/logs/infer/history_start.log",
    benchmark:
        "<results>/benchmarks/infer/history_start.tsv"
    localrule: True
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
    params:
        settings=settings("infer"),
        grid=RUN.grid_options,
        spinup=RUN.period.spinup_sequence,
        jobs=known(lambda wildcards: SPINUP + TILE_YEAR),
        members=each("--member", RUN.member(), member=MEMBERS),
        forcing=each(
            "--input",
            RUN.paths.forcing(),
            tile=TILES,
            year=sorted(set(RUN.period.spinup_sequence)),
        ),
        student=repeat("--input", RUN.student),
        version=STAGE_VERSIONS["infer"],
    shell:
        "fluxatlas infer history --input {input.ensemble:q} {params.student:q} {params.forcing:q} --output {output:q} 2> {log:q}"


rule history:  # of a year: what later years owe to it
    input:
        before=lambda wc: f"<results>/infer/history/{RUN.history(int(wc.year) - 1)}.json",
        forcing=expand("<results>/ingest/forcing/{tile}/{{year}}.nc", tile=TILES),
    output:
        "<results>/infer/history/{year}.json",
    log:
        "<results>/logs/infer/history_{year}.log",
    benchmark:
        "<results>/benchmarks/infer/history_{year}.tsv"
    wildcard_constraints:
        year="|".join(str(year) for year in YEARS),
    localrule: True
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
    params:
        forcing=each("--input", RUN.paths.forcing(), tile=TILES),
    shell:
        "fluxatlas infer history --input {input.before:q} {params.forcing:q} --output {output:q} 2> {log:q}"


rule spinup:
    input:
        history="<results>/infer/history/start.json",
        attributes="<results>/regrid/attributes/{tile}.nc",
        forcing=lambda wc: [
            f"<results>/ingest/forcing/{wc.tile}/{year}.nc"
            for year in RUN.period.spinup_sequence
        ],
    output:
        RUN.paths.spinup(year=YEARS[0] - 1),
    log:
        "<results>/logs/infer/{tile}_spinup.log",
    benchmark:
        "<results>/benchmarks/infer/{tile}_spinup.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    threads: RUN.config.infer.workers
    resources:
        mem_mb=memory(RUN.config.infer.memory_mb),
        own_mb=memory(RUN.config.infer.memory_mb, counted=False),
        runtime=planned("infer", 60, len(RUN.period.spinup_sequence)),
    params:
        settings=settings("spinup"),
        grid=RUN.grid_options,
        series=RUN.series_options,
        members=each("--member", RUN.member(), member=MEMBERS),
        forcing=lambda wc, input: repeat("--forcing", input.forcing),
        before=YEARS[0],
        student=repeat("--student", RUN.student),
        version=STAGE_VERSIONS["infer"],
    shell:
        SPINUP


rule infer:
    input:
        history=lambda wc: f"<results>/infer/history/{RUN.history(int(wc.year) - 1)}.json",
        attributes="<results>/regrid/attributes/{tile}.nc",
        forcing="<results>/ingest/forcing/{tile}/{year}.nc",
        state=lambda wc: state_before(wc.tile, int(wc.year)),
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
        own_mb=memory(RUN.config.infer.memory_mb, counted=False),
        runtime=planned("infer", 60),
    params:
        settings=settings("infer"),
        grid=RUN.grid_options,
        series=RUN.series_options,
        members=each("--member", RUN.member(), member=MEMBERS),
        student=repeat("--student", RUN.student),
        version=STAGE_VERSIONS["infer"],
    shell:
        TILE_YEAR
