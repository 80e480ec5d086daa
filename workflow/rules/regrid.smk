# regrid: static layers -> attributes of each tile; attributes and forcing of each site.
# In:  static layers, maps of regions, forcing pieces, site tables
# Out: <results>/regrid/attributes/{tile}.nc, <results>/regrid/sites_{attributes.csv,forcing.parquet},
#      <results>/regrid/regions/{tile}.nc where regions are given


rule attributes:
    input:
        RUN.static_files,
    output:
        "<results>/regrid/attributes/{tile}.nc",
    log:
        "<results>/logs/regrid/attributes_{tile}.log",
    benchmark:
        "<results>/benchmarks/regrid/attributes_{tile}.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        settings=settings("attributes"),
        system=RUN.system.key,
        grid=RUN.grid_options,
        bbox=RUN.bbox,
        version=STAGE_VERSIONS["regrid"],
    shell:
        "fluxatlas regrid attributes --settings {params.settings:q} --system {params.system:q} {params.grid:q}"
        " --tile {wildcards.tile:q}"
        " --bbox {params.bbox:q} --output {output:q} 2> {log:q}"


rule site_inputs:
    input:
        attributes=expand("<results>/regrid/attributes/{tile}.nc", tile=TILES),
        forcing=expand(
            "<results>/ingest/forcing/{tile}/{year}.nc",
            tile=TILES,
            year=RUN.training_years,
        ),
        sites="<results>/ingest/sites/sites.csv",
        site_forcing="<results>/ingest/sites/forcing.parquet",
        maps=[] if RUN.is_synthetic else RUN.static_files,
        weather=RUN.site_weather,
    output:
        attributes="<results>/regrid/sites_attributes.csv",
        forcing="<results>/regrid/sites_forcing.parquet",
        years=RUN.years_file,
    log:
        "<results>/logs/regrid/site_inputs.log",
    benchmark:
        "<results>/benchmarks/regrid/site_inputs.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        system=RUN.system.key,
        grid=RUN.grid_options,
        tiles=each("--tile", "{tile}", tile=TILES),
        years=each("--year", "{year}", year=RUN.training_years),
        attributes=lambda wc: RUN.paths("regrid", "attributes"),
        forcing=lambda wc: RUN.paths("ingest", "forcing"),
        sites=lambda wc: RUN.paths("ingest", "sites"),
        folder=subpath(output.attributes, parent=True),
        maps=map_settings,
        version=STAGE_VERSIONS["regrid"],
    shell:
        "fluxatlas regrid sites --system {params.system:q} {params.grid:q} {params.tiles:q} {params.years:q}"
        " --attributes-dir {params.attributes:q} --forcing-dir {params.forcing:q} --sites-dir {params.sites:q}"
        " --output-dir {params.folder:q} {params.maps:q} 2> {log:q}"


if RUN.region_files:

    rule regions:
        input:
            RUN.region_files,
        output:
            "<results>/regrid/regions/{tile}.nc",
        log:
            "<results>/logs/regrid/regions_{tile}.log",
        benchmark:
            "<results>/benchmarks/regrid/regions_{tile}.tsv"
        conda:
            "../envs/fluxatlas.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=minutes(60),
        params:
            settings=settings("regions"),
            grid=RUN.grid_options,
            version=STAGE_VERSIONS["regrid"],
        shell:
            "fluxatlas regrid regions --settings {params.settings:q} {params.grid:q} --tile {wildcards.tile:q}"
            " --output {output:q} 2> {log:q}"
