# products: the tiles put together to daily CF NetCDF, maps (COG), a STAC catalogue and budgets.
# In:  <results>/infer/{tile}/{year}.nc, <results>/regrid/attributes/{tile}.nc
# Attributes are read too but not listed: every flux file depends on those of its tile, and a global run has 10^5 edges less.
# Out: <results>/products/daily/{variable}_{year}.nc, .../cog/{variable}_{year}[-{month}].tif, .../ease/{variable}_{year}.nc if asked for, .../stac/, .../budget.csv

MONTHS = (
    [f"{month:02d}" for month in range(1, 13)] if RUN.config.products.monthly else []
)
MAPS = ["", *(f"-{month}" for month in MONTHS)]
PER_CELL = {flux.per_cell: flux.variable for flux in RUN.system.fluxes if flux.per_cell}
PUBLISHED = RUN.published


ruleorder: per_cell > daily


rule per_cell:  # a flux of a part of the cell, per area of the whole
    input:
        lambda wc: f"<results>/products/daily/{PER_CELL[wc.variable]}_{wc.year}.nc",
    output:
        "<results>/products/daily/{variable}_{year}.nc",
    log:
        "<results>/logs/products/per_cell_{variable}_{year}.log",
    benchmark:
        "<results>/benchmarks/products/per_cell_{variable}_{year}.tsv"
    wildcard_constraints:
        variable="|".join(PER_CELL) or "none",
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=planned("products", 60),
    params:
        settings=settings("per_cell"),
        system=RUN.system.key,
        version=STAGE_VERSIONS["products"],
    shell:
        "fluxatlas products per-cell --settings {params.settings:q} --system {params.system:q} --daily {input:q}"
        " --variable {wildcards.variable:q} --output {output:q} 2> {log:q}"


rule daily:
    input:
        flux=expand("<results>/infer/{tile}/{{year}}.nc", tile=TILES),
    output:
        "<results>/products/daily/{variable}_{year}.nc",
    log:
        "<results>/logs/products/daily_{variable}_{year}.log",
    benchmark:
        "<results>/benchmarks/products/daily_{variable}_{year}.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=planned("products", 60),
    params:
        settings=settings("daily"),
        flux=each("--flux", RUN.paths.flux(), tile=TILES),
        attributes=each("--attributes", RUN.paths.attributes(), tile=TILES),
        system=RUN.system.key,
        bbox=RUN.bbox,
        about=RUN.about.to_json(),
        version=STAGE_VERSIONS["products"],
    shell:
        "fluxatlas products daily --settings {params.settings:q} --system {params.system:q}"
        " --variable {wildcards.variable:q} --year {wildcards.year:q} {params.flux:q} {params.attributes:q}"
        " --bbox {params.bbox:q} --about {params.about:q} --output {output:q} 2> {log:q}"


rule maps:
    input:
        "<results>/products/daily/{variable}_{year}.nc",
    output:
        expand("<results>/products/cog/{{variable}}_{{year}}{month}.tif", month=MAPS),
    log:
        "<results>/logs/products/maps_{variable}_{year}.log",
    benchmark:
        "<results>/benchmarks/products/maps_{variable}_{year}.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=planned("products", 60),
    params:
        settings=settings("maps"),
        folder=subpath(output[0], parent=True),
        version=STAGE_VERSIONS["products"],
    shell:
        "fluxatlas products cog --settings {params.settings:q} --daily {input:q} --variable {wildcards.variable:q}"
        " --year {wildcards.year:q} --output-dir {params.folder:q} 2> {log:q}"


rule ease:  # where products.ease_grid names a grid
    input:
        "<results>/products/daily/{variable}_{year}.nc",
    output:
        "<results>/products/ease/{variable}_{year}.nc",
    log:
        "<results>/logs/products/ease_{variable}_{year}.log",
    benchmark:
        "<results>/benchmarks/products/ease_{variable}_{year}.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=planned("products", 120, 2),
    params:
        settings=settings("ease"),
        system=RUN.system.key,
        version=STAGE_VERSIONS["products"],
    shell:
        "fluxatlas products ease --settings {params.settings:q} --system {params.system:q} --daily {input:q}"
        " --variable {wildcards.variable:q} --year {wildcards.year:q} --output {output:q} 2> {log:q}"


rule budget:
    input:
        flux=expand("<results>/infer/{tile}/{year}.nc", tile=TILES, year=YEARS),
        regions=expand(
            "<results>/regrid/regions/{tile}.nc",
            tile=TILES if RUN.region_files else [],
        ),
    output:
        csv="<results>/products/budget.csv",
        parquet="<results>/products/budget.parquet",
    log:
        "<results>/logs/products/budget.log",
    benchmark:
        "<results>/benchmarks/products/budget.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        settings=settings("budget"),
        system=RUN.system.key,
        flux=each("--flux", RUN.paths.flux(), tile=TILES, year=YEARS),
        attributes=each("--attributes", RUN.paths.attributes(), tile=TILES),
        regions=each(
            "--regions",
            RUN.paths.regions(),
            tile=TILES if RUN.region_files else [],
        ),
        domain=RUN.config.domain.title,
        version=STAGE_VERSIONS["products"],
    shell:
        "fluxatlas products budget --settings {params.settings:q} --system {params.system:q} {params.flux:q}"
        " {params.attributes:q} {params.regions:q} --domain {params.domain:q} --output {output.csv:q} --parquet {output.parquet:q} 2> {log:q}"


rule stac:
    input:
        daily=expand(
            "<results>/products/daily/{variable}_{year}.nc",
            variable=PUBLISHED,
            year=YEARS,
        ),
        maps=expand(
            "<results>/products/cog/{variable}_{year}{month}.tif",
            variable=PUBLISHED,
            year=YEARS,
            month=MAPS,
        ),
        ease=expand(
            "<results>/products/ease/{variable}_{year}.nc",
            variable=PUBLISHED if RUN.config.products.ease_grid else [],
            year=YEARS,
        ),
    output:
        "<results>/products/stac/catalog.json",
    log:
        "<results>/logs/products/stac.log",
    benchmark:
        "<results>/benchmarks/products/stac.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(60),
    params:
        settings=settings("stac"),
        daily=each("--daily", RUN.paths.daily(), variable=PUBLISHED, year=YEARS),
        maps=each(
            "--map",
            RUN.paths("products", "cog", "{variable}_{year}{month}.tif"),
            variable=PUBLISHED,
            year=YEARS,
            month=MAPS,
        ),
        ease=each(
            "--ease",
            RUN.paths("products", "ease", "{variable}_{year}.nc"),
            variable=PUBLISHED if RUN.config.products.ease_grid else [],
            year=YEARS,
        ),
        run=RUN.config.run.name,
        system=RUN.system.key,
        version=STAGE_VERSIONS["products"],
    shell:
        "fluxatlas products stac --settings {params.settings:q} --run {params.run:q} --system {params.system:q}"
        " {params.daily:q} {params.maps:q} {params.ease:q} --output {output:q} 2> {log:q}"
