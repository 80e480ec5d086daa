# ingest: raw forcing, static layers and sites -> canonical daily pieces per tile and year, and site tables.
# In:  the user's archive (or what the synthetic Earth writes below ingest/raw)
# Out: <results>/ingest/forcing/{tile}/{year}.nc, <results>/ingest/sites/{sites.csv,observations.parquet,...},
#      <results>/ingest/atmosphere/{gas}_global.csv for every series of the block 'atmosphere',
#      <results>/ingest/constraints/{name}.nc for every set of the block 'constraints'


rule forcing:
    input:
        lambda wc: [
            ancient(path) if RUN.holds_the_same(path, int(wc.year)) else path
            for path in RUN.files_of_year(int(wc.year))
        ],
    output:
        pieces=expand("<results>/ingest/forcing/{tile}/{{year}}.nc", tile=TILES),
        digests="<results>/ingest/forcing/digests/{year}.json",
    log:
        "<results>/logs/ingest/forcing_{year}.log",
    benchmark:
        "<results>/benchmarks/ingest/forcing_{year}.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=planned("ingest", 60),
    params:
        settings=settings("forcing"),
        system=RUN.system.key,
        grid=RUN.grid_options,
        tiles=each("--tile", "{tile}", tile=TILES),
        folder=subpath(output[0], ancestor=2),
        version=STAGE_VERSIONS["ingest"],
    shell:
        "fluxatlas ingest forcing --settings {params.settings:q} --system {params.system:q} {params.grid:q} --year {wildcards.year:q}"
        " {params.tiles:q} --output-dir {params.folder:q} --digests {output.digests:q} 2> {log:q}"


rule sites:
    input:
        RUN.site_files,
    output:
        sites="<results>/ingest/sites/sites.csv",
        observations="<results>/ingest/sites/observations.parquet",
        chambers="<results>/ingest/sites/chambers.parquet",
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
        folder=subpath(output.sites, parent=True),
        version=STAGE_VERSIONS["ingest"],
    shell:
        "fluxatlas ingest sites build --settings {params.settings:q} --output-dir {params.folder:q} 2> {log:q}"


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
        localrule: True
        conda:
            "../envs/fluxatlas.yaml"
        resources:
            mem_mb=memory(500),
            runtime=minutes(10),
        params:
            options=lambda wc: RUN.atmosphere_options(wc.gas),
            years=lambda wc, input: RUN.atmosphere_years,  # only checked: what is written does not depend on them
            version=STAGE_VERSIONS["ingest"],
        shell:
            "fluxatlas ingest atmosphere --input {input:q} {params.options:q} {params.years:q} --output {output:q} 2> {log:q}"


if RUN.constraints:

    rule constraint:
        input:
            lambda wc: RUN.constraint_inputs(wc.name),
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
            "fluxatlas ingest constraint build --settings {params.settings:q} --bbox {params.bbox:q}"
            " --output {output:q} 2> {log:q}"


if RUN.absent_forcing:

    include: "fetch.smk"


if RUN.is_synthetic:

    include: "synthetic_earth.smk"
