# ingest, for the synthetic Earth: write raw files as providers do.
# Out: <results>/ingest/raw/{era5_land,static,sites,inversions}/

WEATHER_YEARS = RUN.raw_years
CLOSING_YEARS = sorted({year + 1 for year in WEATHER_YEARS} - set(WEATHER_YEARS))


rule synthetic_weather:
    output:
        expand(
            "<results>/ingest/raw/era5_land/{{year}}_{month:02d}.nc",
            month=range(1, 13),
        ),
    log:
        "<results>/logs/ingest/synthetic_weather_{year}.log",
    benchmark:
        "<results>/benchmarks/ingest/synthetic_weather_{year}.tsv"
    wildcard_constraints:
        year="|".join(str(year) for year in WEATHER_YEARS),
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        settings=settings("synthetic_weather"),
        bbox=RUN.bbox,
        folder=subpath(output[0], parent=True),
        version=STAGE_VERSIONS["ingest"],
    shell:
        "fluxatlas ingest synthetic-earth weather --settings {params.settings:q} --bbox {params.bbox:q}"
        " --year {wildcards.year:q} --output-dir {params.folder:q} 2> {log:q}"


rule synthetic_closing:  # the first hour after the last year: totals of 31 December need it
    output:
        "<results>/ingest/raw/era5_land/{year}_01.nc",
    log:
        "<results>/logs/ingest/synthetic_closing_{year}.log",
    benchmark:
        "<results>/benchmarks/ingest/synthetic_closing_{year}.tsv"
    wildcard_constraints:
        year="|".join(str(year) for year in CLOSING_YEARS),
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        settings=settings("synthetic_closing"),
        bbox=RUN.bbox,
        folder=subpath(output[0], parent=True),
        version=STAGE_VERSIONS["ingest"],
    shell:
        "fluxatlas ingest synthetic-earth weather --settings {params.settings:q} --bbox {params.bbox:q}"
        " --year {wildcards.year:q} --closing --output-dir {params.folder:q} 2> {log:q}"


rule synthetic_orography:
    output:
        "<results>/ingest/raw/era5_land/geopotential.nc",
    log:
        "<results>/logs/ingest/synthetic_orography.log",
    benchmark:
        "<results>/benchmarks/ingest/synthetic_orography.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        settings=settings("synthetic_orography"),
        bbox=RUN.bbox,
        folder=subpath(output[0], parent=True),
        version=STAGE_VERSIONS["ingest"],
    shell:
        "fluxatlas ingest synthetic-earth orography --settings {params.settings:q} --bbox {params.bbox:q}"
        " --output-dir {params.folder:q} 2> {log:q}"


rule synthetic_static:
    output:
        RUN.static_files,
    log:
        "<results>/logs/ingest/synthetic_static.log",
    benchmark:
        "<results>/benchmarks/ingest/synthetic_static.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        settings=settings("synthetic_static"),
        bbox=RUN.bbox,
        folder=subpath(output[0], parent=True),
        version=STAGE_VERSIONS["ingest"],
    shell:
        "fluxatlas ingest synthetic-earth static --settings {params.settings:q} --bbox {params.bbox:q}"
        " --output-dir {params.folder:q} 2> {log:q}"


if RUN.has_synthetic_sites:

    rule synthetic_sites:
        output:
            RUN.synthetic_site_files,
        log:
            "<results>/logs/ingest/synthetic_sites.log",
        benchmark:
            "<results>/benchmarks/ingest/synthetic_sites.tsv"
        conda:
            "../envs/fluxatlas.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=minutes(10),
        params:
            settings=settings("synthetic_sites"),
            system=RUN.system.key,
            bbox=RUN.bbox,
            start=RUN.training_years[0],
            end=RUN.training_years[-1],
            folder=subpath(output[0], parent=True),
            version=STAGE_VERSIONS["synthesize"],  # made by the process model
        shell:
            "fluxatlas ingest synthetic-earth sites --settings {params.settings:q} --system {params.system:q} --bbox {params.bbox:q}"
            " --start {params.start:q} --end {params.end:q} --output-dir {params.folder:q} 2> {log:q}"


if RUN.synthetic_inversions:

    rule synthetic_inversions:
        input:
            expand("<results>/regrid/attributes/{tile}.nc", tile=TILES),
        output:
            RUN.synthetic_inversions,
        log:
            "<results>/logs/ingest/synthetic_inversions.log",
        benchmark:
            "<results>/benchmarks/ingest/synthetic_inversions.tsv"
        conda:
            "../envs/fluxatlas.yaml"
        resources:
            mem_mb=memory(3000),
            runtime=minutes(30),
        params:
            settings=settings("synthetic_inversions"),
            system=RUN.system.key,
            attributes=each("--attributes", RUN.paths.attributes(), tile=TILES),
            start=RUN.regional_years[0],
            end=RUN.regional_years[-1],
            folder=subpath(output[0], parent=True),
            version=STAGE_VERSIONS["synthesize"],  # made by the process model
        shell:
            "fluxatlas ingest synthetic-earth inversions --settings {params.settings:q} --system {params.system:q}"
            " {params.attributes:q} --start {params.start:q} --end {params.end:q} --output-dir {params.folder:q} 2> {log:q}"
