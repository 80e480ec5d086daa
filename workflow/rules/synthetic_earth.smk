# ingest, for the synthetic Earth: write raw files as providers do.
# Out: <results>/ingest/raw/{era5_land,static,sites}/

WEATHER_YEARS = RUN.config.period.forcing_years
CLOSING_YEARS = sorted({year + 1 for year in WEATHER_YEARS} - set(WEATHER_YEARS))


rule synthetic_weather:
    output:
        expand("<results>/ingest/raw/era5_land/{{year}}_{month:02d}.nc", month=range(1, 13)),
    params:
        settings=RUN.settings("synthetic_earth"),
        bbox=RUN.bbox,
        folder=f"{RUN.raw}/era5_land",
        version=STAGE_VERSIONS["ingest"],
    wildcard_constraints:
        year="|".join(str(year) for year in WEATHER_YEARS),
    log:
        "<results>/logs/ingest/synthetic_weather_{year}.log",
    benchmark:
        "<results>/benchmarks/ingest/synthetic_weather_{year}.tsv"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    shell:
        "fluxatlas ingest synthetic-earth weather --settings {params.settings:q} --bbox {params.bbox}"
        " --year {wildcards.year} --output-dir {params.folder} 2> {log}"


rule synthetic_closing:  # the first hour after the last year: totals of 31 December need it
    output:
        "<results>/ingest/raw/era5_land/{year}_01.nc",
    params:
        settings=RUN.settings("synthetic_earth"),
        bbox=RUN.bbox,
        folder=f"{RUN.raw}/era5_land",
        version=STAGE_VERSIONS["ingest"],
    wildcard_constraints:
        year="|".join(str(year) for year in CLOSING_YEARS),
    log:
        "<results>/logs/ingest/synthetic_closing_{year}.log",
    benchmark:
        "<results>/benchmarks/ingest/synthetic_closing_{year}.tsv"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    shell:
        "fluxatlas ingest synthetic-earth weather --settings {params.settings:q} --bbox {params.bbox}"
        " --year $(({wildcards.year} - 1)) --closing --output-dir {params.folder} 2> {log}"


rule synthetic_orography:
    output:
        "<results>/ingest/raw/era5_land/geopotential.nc",
    params:
        settings=RUN.settings("synthetic_earth"),
        bbox=RUN.bbox,
        folder=f"{RUN.raw}/era5_land",
        version=STAGE_VERSIONS["ingest"],
    log:
        "<results>/logs/ingest/synthetic_orography.log",
    benchmark:
        "<results>/benchmarks/ingest/synthetic_orography.tsv"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    shell:
        "fluxatlas ingest synthetic-earth orography --settings {params.settings:q} --bbox {params.bbox}"
        " --output-dir {params.folder} 2> {log}"


rule synthetic_static:
    output:
        RUN.static_files,
    params:
        settings=RUN.settings("synthetic_earth"),
        bbox=RUN.bbox,
        folder=f"{RUN.raw}/static",
        version=STAGE_VERSIONS["ingest"],
    log:
        "<results>/logs/ingest/synthetic_static.log",
    benchmark:
        "<results>/benchmarks/ingest/synthetic_static.tsv"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    shell:
        "fluxatlas ingest synthetic-earth static --settings {params.settings:q} --bbox {params.bbox}"
        " --output-dir {params.folder} 2> {log}"


rule synthetic_sites:
    output:
        RUN.site_files,
    params:
        settings=RUN.settings("synthetic_earth"),
        bbox=RUN.bbox,
        start=RUN.config.period.forcing_years[0],
        end=RUN.config.period.end,
        folder=f"{RUN.raw}/sites",
        version=STAGE_VERSIONS["ingest"],
    log:
        "<results>/logs/ingest/synthetic_sites.log",
    benchmark:
        "<results>/benchmarks/ingest/synthetic_sites.tsv"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    shell:
        "fluxatlas ingest synthetic-earth sites --settings {params.settings:q} --bbox {params.bbox}"
        " --start {params.start} --end {params.end} --output-dir {params.folder} 2> {log}"
