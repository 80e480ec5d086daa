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
        settings=settings("static"),
        system=RUN.system.name,
        grid=RUN.grid_options,
        bbox=RUN.bbox,
        version=STAGE_VERSIONS["regrid"],
    shell:
        "fluxatlas regrid attributes --settings {params.settings:q} --system {params.system} {params.grid}"
        " --tile {wildcards.tile}"
        " --bbox {params.bbox} --output {output} 2> {log}"


rule site_inputs:
    input:
        attributes=expand("<results>/regrid/attributes/{tile}.nc", tile=TILES),
        forcing=expand(
            "<results>/ingest/forcing/{tile}/{year}.nc",
            tile=TILES,
            year=RUN.forcing_years,
        ),
        sites="<results>/ingest/sites/sites.csv",
        site_forcing="<results>/ingest/sites/forcing.parquet",
    output:
        attributes="<results>/regrid/sites_attributes.csv",
        forcing="<results>/regrid/sites_forcing.parquet",
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
        system=RUN.system.name,
        grid=RUN.grid_options,
        tiles=each("--tile", "{tile}", tile=TILES),
        years=each("--year", "{year}", year=RUN.forcing_years),
        folders=lambda wc, input, output: f"--attributes-dir {RUN.paths('regrid', 'attributes')}"
        f" --forcing-dir {RUN.paths('ingest', 'forcing')} --sites-dir {RUN.paths('ingest', 'sites')}"
        f" --output-dir {RUN.paths('regrid')}",
        version=STAGE_VERSIONS["regrid"],
    shell:
        "fluxatlas regrid sites --system {params.system} {params.grid} {params.tiles} {params.years} {params.folders} 2> {log}"


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
            "fluxatlas regrid regions --settings {params.settings:q} {params.grid} --tile {wildcards.tile}"
            " --output {output} 2> {log}"
