# fluxatlas: from raw climate forcing to a daily land-flux product.
#
#   snakemake --cores 2                                                  the embedded default (config/config.yaml)
#   snakemake --cores 2 --configfile config/examples/walnut_gulch_2008.yaml
#   snakemake --cores 2 results/demo/infer/N36W008/2001.nc              one tile-year alone
#   snakemake --cores 2 twin                                             both twin worlds, judged by their truth
#   snakemake --cores 2 constraint_twin                                  towers and sums of regions in a small world, ten tests
#   snakemake --cores 2 benchmark                                        models and transfers on the same folds, one table
#   snakemake --cores 2 wetland_benchmark                                the same of the example of wetlands, under an hour on two idle cores
#   snakemake --cores 2 importance                                       what permuted drivers cost each of these models
#   snakemake --cores 2 comparison                                       the product beside gridded products of others, one page
#   snakemake --cores 2 trends                                           what made the fluxes trend, by factorial runs
#   snakemake --cores 2 periods                                          skill by month at towers that have monthly means
#   snakemake --cores 2 factors                                          soil or climate: what goes with fluxes and a store, one page
#   snakemake --cores 2 yields                                           yields of counties by plain models, trees and a network
#   snakemake --cores 2 overpasses                                       fluxes of a satellite's moment beside published models
#
# Rules hold paths and call the command line; all logic is in src/fluxatlas and tested there.
from snakemake.utils import min_version

min_version("9.10")

if not workflow.configfiles:

    configfile: f"{workflow.basedir}/config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/ingest.smk"
include: "workflow/rules/regrid.smk"
include: "workflow/rules/synthesize.smk"
include: "workflow/rules/train.smk"


if RUN.has_maps:

    include: "workflow/rules/infer.smk"
    include: "workflow/rules/products.smk"


include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/twin.smk"
include: "workflow/rules/experiments.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        check_dry_run,
        # everything a user would miss: Snakemake remakes a deleted file only if it is asked for here
        expand("<results>/infer/{tile}/{year}.nc", tile=TILES, year=YEARS),
        expand(
            "<results>/products/daily/{variable}_{year}.nc",
            variable=RUN.published,
            year=YEARS,
        ),
        expand(
            "<results>/products/cog/{variable}_{year}{month}.tif",
            variable=RUN.published,
            year=YEARS,
            month=MAPS if RUN.has_maps else [],
        ),
        expand(
            "<results>/products/ease/{variable}_{year}.nc",
            variable=RUN.variables if RUN.config.products.ease_grid else [],
            year=YEARS,
        ),
        expand("<results>/ingest/atmosphere/{gas}_global.csv", gas=RUN.atmosphere),
        expand("<results>/ingest/constraints/{name}.nc", name=RUN.constraints),
        (
            ["<results>/products/stac/catalog.json", "<results>/products/budget.csv"]
            if RUN.has_maps
            else []
        ),
        expand("<results>/evaluate/{table}.csv", table=RUN.tables),
        expand("<results>/report/figures/{figure}.png", figure=RUN.figures),
        "<results>/report/summary.html",
        "<results>/report.html",


onstart:
    # before the first job of a whole run, once for each configuration
    check_first()


onsuccess:
    if not workflow.touch:  # nothing was made
        logger.info(farewell(RUN, part_of_the_run()), extra={"show": True})
