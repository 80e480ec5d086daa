# ingest: raw forcing, static layers and sites -> canonical daily pieces per tile and year, and site tables.
# In:  the user's archive (or what the synthetic Earth writes below ingest/raw)
# Out: <results>/ingest/forcing/{tile}/{year}.nc, <results>/ingest/sites/{sites.csv,observations.parquet,...},
#      <results>/ingest/atmosphere/{gas}_global.csv for every series of the block 'atmosphere',
#      <results>/ingest/constraints/{name}.nc for every set of the block 'constraints'


rule forcing:
    input:
        raw=lambda wc: RUN.forcing_files(int(wc.year)),
        following=lambda wc: RUN.neighbour_files(int(wc.year)),
        pattern=lambda wc: RUN.pattern_files(int(wc.year)),
        elevation=RUN.elevation_files,
    output:
        expand("<results>/ingest/forcing/{tile}/{{year}}.nc", tile=TILES),
    log:
        "<results>/logs/ingest/forcing_{year}.log",
    benchmark:
        "<results>/benchmarks/ingest/forcing_{year}.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    params:
        settings=settings(
            "forcing",
            without=(
                "fetch",
                "recipe",
            ),
        ),
        system=RUN.system.name,
        grid=RUN.grid_options,
        tiles=each("--tile", "{tile}", tile=TILES),
        raw=lambda wc, input: repeat("--input", input.raw),
        following=lambda wc, input: repeat("--next-input", input.following),
        pattern=lambda wc, input: repeat("--pattern-input", input.pattern),
        folder=subpath(output[0], ancestor=2),
        version=STAGE_VERSIONS["ingest"],
    shell:
        "fluxatlas ingest forcing --settings {params.settings:q} --system {params.system} {params.grid} --year {wildcards.year}"
        " {params.tiles} {params.raw} {params.following} {params.pattern} --output-dir {params.folder} 2> {log}"


rule sites:
    input:
        RUN.site_files,
    output:
        sites="<results>/ingest/sites/sites.csv",
        observations="<results>/ingest/sites/observations.parquet",
        forcing="<results>/ingest/sites/forcing.parquet",
        periods="<results>/ingest/sites/periods.parquet",
        report="<results>/ingest/sites/report.json",
    log:
        "<results>/logs/ingest/sites.log",
    benchmark:
        "<results>/benchmarks/ingest/sites.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        settings=settings("sites"),
        inputs=lambda wc, input: repeat("--input", input),
        version=STAGE_VERSIONS["ingest"],
    shell:
        "fluxatlas ingest sites build --settings {params.settings:q} {params.inputs}"
        " --output-dir $(dirname {output.sites}) 2> {log}"


if RUN.atmosphere:

    rule atmosphere:
        input:
            lambda wc: RUN.atmosphere[wc.gas],
        output:
            "<results>/ingest/atmosphere/{gas}_global.csv",
        log:
            "<results>/logs/ingest/atmosphere_{gas}.log",
        benchmark:
            "<results>/benchmarks/ingest/atmosphere_{gas}.tsv"
        wildcard_constraints:
            gas="|".join(RUN.atmosphere),
        conda:
            "../envs/fluxatlas.yaml"
        resources:
            mem_mb=memory(500),
            runtime=minutes(10),
        params:
            options=lambda wc: RUN.atmosphere_options(wc.gas),
            version=STAGE_VERSIONS["ingest"],
        shell:
            "fluxatlas ingest atmosphere --input {input} {params.options} --output {output} 2> {log}"


if RUN.constraints:

    rule constraint:
        input:
            lambda wc: RUN.constraint_files(wc.name),
        output:
            "<results>/ingest/constraints/{name}.nc",
        log:
            "<results>/logs/ingest/constraints_{name}.log",
        benchmark:
            "<results>/benchmarks/ingest/constraints_{name}.tsv"
        wildcard_constraints:
            name="|".join(RUN.constraints),
        conda:
            "../envs/fluxatlas.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=minutes(240),
        params:
            settings=lambda wc: RUN.constraint_settings(wc.name),
            bbox=RUN.bbox,
            version=STAGE_VERSIONS["ingest"],
        shell:
            "fluxatlas ingest constraint build --settings {params.settings:q} --bbox {params.bbox}"
            " --output {output} 2> {log}"


if RUN.absent_forcing:

    include: "fetch.smk"


if RUN.is_synthetic:

    include: "synthetic_earth.smk"
