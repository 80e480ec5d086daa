# synthesize: the process model over sampled cells and parameters -> synthetic site-days for pretraining.
# In:  attributes and forcing pieces of all tiles, forcing of sites
# Out: <results>/synthesize/samples.nc


rule synthesize:
    input:
        attributes=expand("<results>/regrid/attributes/{tile}.nc", tile=TILES),
        forcing=expand(
            "<results>/ingest/forcing/{tile}/{year}.nc",
            tile=TILES,
            year=RUN.config.period.forcing_years,
        ),
        sites_attributes="<results>/regrid/sites_attributes.csv",
        sites_forcing="<results>/regrid/sites_forcing.parquet",
    output:
        "<results>/synthesize/samples.nc",
    params:
        settings=RUN.settings("synthesize"),
        grid=RUN.grid_options,
        system=RUN.system.name,
        version=STAGE_VERSIONS["synthesize"],
    log:
        "<results>/logs/synthesize/samples.log",
    benchmark:
        "<results>/benchmarks/synthesize/samples.tsv"
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    shell:
        "fluxatlas synthesize samples --settings {params.settings:q} --system {params.system} {params.grid}"
        " --attributes {input.attributes} --forcing {input.forcing}"
        " --sites-attributes {input.sites_attributes} --sites-forcing {input.sites_forcing}"
        " --output {output} 2> {log}"
