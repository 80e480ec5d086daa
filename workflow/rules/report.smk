# report: figures with captions, one page of numbers, and Snakemake's own report of the run, which opens on that page.
# In:  products, evaluation, histories
# Out: <results>/report/figures/*.png, <results>/report/summary.html, <results>/report.html
from fluxatlas.report.catalogue import FIGURES

FIGURE_FILES = {
    "flux": ("<results>/infer/{tile}/{year}.nc", {"tile": TILES, "year": YEARS[-2:]}),
    "attributes": ("<results>/regrid/attributes/{tile}.nc", {"tile": TILES}),
    "forcing": (
        "<results>/ingest/forcing/{tile}/{year}.nc",
        {"tile": TILES, "year": YEARS[-1:]},
    ),
    "truth": ("<results>/evaluate/truth.nc", {}),
    "daily": (
        "<results>/products/daily/{variable}_{year}.nc",
        {"variable": RUN.fluxes, "year": YEARS},
    ),
    "predictions": (
        "<trained>/{table}.parquet",
        {
            "table": [f"predictions/{member}" for member in MEMBERS]
            + [f"baselines/{baseline}" for baseline in RUN.config.train.baselines]
        },
    ),
    "skill": ("<results>/evaluate/skill.csv", {}),
    "protocols": ("<results>/evaluate/protocols.csv", {}),
    "responses": ("<results>/evaluate/responses.csv", {}),
    "attribution": ("<results>/evaluate/attribution.csv", {}),
    "history": (
        "<trained>/history/{member}_{step}.csv",
        {"member": MEMBERS, "step": ["pretrain", "finetune"]},
    ),
    "budget": ("<results>/products/budget.csv", {}),
    "region_months": ("<results>/evaluate/region_months.csv", {}),
    "towers": ("<results>/evaluate/towers.parquet", {}),
    "sites": ("<results>/ingest/sites/sites.csv", {}),
}

for FIGURE in RUN.figures:

    rule:
        name:
            f"figure_{FIGURE}"
        input:
            [
                expand(FIGURE_FILES[kind][0], **FIGURE_FILES[kind][1])
                for kind in FIGURES[FIGURE].reads
            ],
        output:
            report(
                f"<results>/report/figures/{FIGURE}.png",
                caption=f"../report/{FIGURE}.rst",
                category="Figures",
                labels={"figure": FIGURES[FIGURE].title},
            ),
        log:
            f"<results>/logs/report/{FIGURE}.log",
        benchmark:
            f"<results>/benchmarks/report/{FIGURE}.tsv"
        conda:
            "../envs/fluxatlas.yaml"
        resources:
            mem_mb=memory(3000),
            runtime=minutes(30),
        params:
            settings=settings("figure"),
            figure=FIGURE,
            system=RUN.system.key,
            files=each_of(FIGURE_FILES, FIGURES[FIGURE].reads),
            version=STAGE_VERSIONS["report"],
        shell:
            "fluxatlas report figure {params.figure:q} --settings {params.settings:q} --system {params.system:q}"
            " {params.files:q} --output {output:q} 2> {log:q}"


rule summary:
    input:
        budget="<results>/products/budget.csv" if RUN.has_maps else [],
        skill="<results>/evaluate/skill.csv",
        protocols="<results>/evaluate/protocols.csv",
        coverage="<results>/evaluate/coverage.csv",
        prior="<results>/evaluate/prior.csv" if "prior" in RUN.tables else [],
        towers="<results>/evaluate/towers.csv" if "towers" in RUN.tables else [],
        seams="<results>/evaluate/seams.csv" if RUN.has_maps else [],
        regions="<results>/evaluate/region_months.csv" if RUN.compared_years else [],
        truth="<results>/evaluate/truth.csv" if RUN.has_truth else [],
        emulation=expand("<trained>/emulation/{member}.csv", member=MEMBERS),
        intervals=expand("<trained>/intervals/{member}.csv", member=MEMBERS),
        figures=expand("<results>/report/figures/{figure}.png", figure=RUN.figures),
    output:
        html=report(
            "<results>/report/summary.html",
            caption="../report/summary.rst",
            category="Numbers",
        ),
        markdown="<results>/report/summary.md",
    log:
        "<results>/logs/report/summary.log",
    benchmark:
        "<results>/benchmarks/report/summary.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        title=RUN.system.title,
        system=RUN.system.key,
        about=RUN.about.to_json(),
        budget=lambda wc, input: repeat("--budget", input.budget),
        seams=lambda wc, input: repeat("--seams", input.seams),
        prior=lambda wc, input: repeat("--prior", input.prior),
        truth=lambda wc, input: repeat("--truth", input.truth),
        towers=lambda wc, input: repeat("--towers", input.towers),
        regions=lambda wc, input: repeat("--region-months", input.regions),
        learning=lambda wc, input: repeat("--emulation", input.emulation)
        + repeat("--intervals", input.intervals),
        figures=lambda wc, input: repeat("--figure", input.figures),
        benchmarks=RUN.paths("benchmarks"),
        version=STAGE_VERSIONS["report"],
    shell:
        "fluxatlas report summary --title {params.title:q} --system {params.system:q} {params.budget:q} --skill {input.skill:q}"
        " --about {params.about:q} --protocols {input.protocols:q} --coverage {input.coverage:q} {params.prior:q}"
        " {params.towers:q} {params.regions:q} {params.seams:q} {params.truth:q} {params.learning:q} {params.figures:q}"
        " --benchmarks {params.benchmarks:q} --output {output.html:q} 2> {log:q}"


rule factors:  # only where asked for: `snakemake factors`
    input:
        table="<results>/evaluate/factors.csv",
        figures=["<results>/evaluate/factors.png"]
        + expand(
            "<results>/report/figures/{figure}.png",
            figure=[name for name in RUN.figures if name == "responses"],
        ),
    output:
        "<results>/report/factors.html",
    log:
        "<results>/logs/report/factors.log",
    benchmark:
        "<results>/benchmarks/report/factors.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        system=RUN.system.key,
        figures=lambda wc, input: repeat("--figure", list(input.figures)),
        version=STAGE_VERSIONS["report"],
    shell:
        "fluxatlas report factors --table {input.table:q} {params.figures:q} --system {params.system:q}"
        " --output {output:q} 2> {log:q}"


rule page:
    input:  # it comes last: what of `all` is not here is made before one of these
        "<results>/report/summary.html",
        "<results>/products/stac/catalog.json" if RUN.has_maps else [],
        expand("<results>/evaluate/{table}.csv", table=RUN.tables),
        expand("<results>/ingest/atmosphere/{gas}_global.csv", gas=RUN.atmosphere),
        expand("<results>/ingest/constraints/{name}.nc", name=RUN.constraints),
    output:
        "<results>/report.html",
    log:
        "<results>/logs/report/page.log",
    benchmark:
        "<results>/benchmarks/report/page.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        settings=known(lambda wildcards: RUN.page_settings),
        version=STAGE_VERSIONS["report"],
    shell:
        "fluxatlas report page --settings {params.settings:q} --output {output:q} 2> {log:q}"
