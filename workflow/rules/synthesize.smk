# synthesize: the process model over sampled cells and parameters -> synthetic site-days for pretraining.
# In:  attributes and forcing pieces of all tiles, forcing of sites
# Out: <results>/synthesize/samples.nc


rule synthesize:
    input:
        attributes=expand(
            "<results>/regrid/attributes/{tile}.nc", tile=RUN.sample_tiles
        ),
        forcing=expand(
            "<results>/ingest/forcing/{tile}/{year}.nc",
            tile=RUN.sample_tiles,
            year=RUN.sample_years,
        ),
        sites_attributes="<results>/regrid/sites_attributes.csv",
        sites_forcing="<results>/regrid/sites_forcing.parquet",
        years=RUN.years_file,
        series=RUN.series,
    output:
        "<results>/synthesize/samples.nc",
    log:
        "<results>/logs/synthesize/samples.log",
    benchmark:
        "<results>/benchmarks/synthesize/samples.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=planned("synthesize", 60),
    params:
        settings=settings("synthesize"),
        attributes=each("--attributes", RUN.paths.attributes(), tile=RUN.sample_tiles),
        forcing=each(
            "--forcing",
            RUN.paths.forcing(),
            tile=RUN.sample_tiles,
            year=RUN.sample_years,
        ),
        series=RUN.series_options,
        grid=RUN.grid_options,
        system=RUN.system.key,
        version=STAGE_VERSIONS["synthesize"],
    shell:
        "fluxatlas synthesize samples --settings {params.settings:q} --system {params.system:q} {params.grid:q}"
        " {params.attributes:q} {params.forcing:q}"
        " --sites-attributes {input.sites_attributes:q} --sites-forcing {input.sites_forcing:q} {params.series:q}"
        " --output {output:q} 2> {log:q}"
