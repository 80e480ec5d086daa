# experiments: models and ways of transfer on the same folds, one small result each, and one table; not part of `all`.
# In:  samples, site tables
# Out: <results>/experiments/{scores.csv,scores.png,scores.html}, by `snakemake importance` {importance.csv,importance.png}, .../start/{model}-{number}.pt, .../{split}/{share}/{model}/{transfer}/{number}.csv


rule benchmark:
    input:
        expand(
            "<results>/experiments/{name}.csv",
            name=[one.name for one in RUN.experiments],
        ),
    output:
        table="<results>/experiments/scores.csv",
        figure="<results>/experiments/scores.png",
        page="<results>/experiments/scores.html",
    log:
        "<results>/logs/experiments/scores.log",
    benchmark:
        "<results>/benchmarks/experiments/scores.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        results=lambda wc, input: repeat("--result", list(input)),
        days=option("evaluate", "minimum_days"),
        title=f"Experiments: {RUN.system.title}, {RUN.config.domain.title}",
        version=STAGE_VERSIONS["evaluate"],
    shell:
        "fluxatlas experiments table {params.results:q} --minimum-days {params.days:q} --output {output.table:q}"
        " --figure {output.figure:q} --page {output.page:q} --title {params.title:q} 2> {log:q}"


# `benchmark` of an example, whatever the configuration: a run of its own, in the folder that this one has locked; the
# target, such as `wetland_benchmark`, is called as its file. It makes no file that could be there already: the run itself
# sees what is to be done
for EXAMPLE in sorted(
    Path(workflow.basedir, "config/examples").glob("*_benchmark.yaml")
):

    rule:
        name:
            EXAMPLE.stem
        log:
            f"<results>/logs/experiments/{EXAMPLE.stem}.log",
        conda:
            "../envs/fluxatlas.yaml"
        threads: 8  # fewer where the run has fewer
        resources:
            mem_mb=memory(8000),
            runtime=minutes(240),
        params:
            example=str(EXAMPLE),
            version=STAGE_VERSIONS["train"],
        shell:
            "fluxatlas run {params.example:q} benchmark --nolock --rerun-incomplete --cores {threads:q} 2> {log:q}"


rule importance:  # what permuted drivers cost at test days; only where asked for: `snakemake importance`
    input:
        lambda wc: RUN.permuted_results,
    output:
        table="<results>/experiments/importance.csv",
        figure="<results>/experiments/importance.png",
    log:
        "<results>/logs/experiments/importance.log",
    benchmark:
        "<results>/benchmarks/experiments/importance.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        results=lambda wc, input: repeat("--result", list(input)),
        version=STAGE_VERSIONS["evaluate"],
    shell:
        "fluxatlas experiments importance {params.results:q} --output {output.table:q} --figure {output.figure:q} 2> {log:q}"


rule experiment_start:
    input:
        "<results>/synthesize/samples.nc",
    output:
        member="<results>/experiments/start/{model}-{number}.pt",
        history="<results>/experiments/start/{model}-{number}_history.csv",
        emulation="<results>/experiments/start/{model}-{number}_emulation.csv",
    log:
        "<results>/logs/experiments/start_{model}-{number}.log",
    benchmark:
        "<results>/benchmarks/experiments/start_{model}-{number}.tsv"
    wildcard_constraints:
        model=r"[a-z_]+",
        number=r"\d+",
    conda:
        "../envs/fluxatlas.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=trained("experiment_start", 240, "model"),
    params:
        settings=lambda wc: RUN.start_settings(wc.model),
        grid=RUN.grid.name,
        system=lambda wc: RUN.start_system(wc.model),
        checkpoint=lambda wc: RUN.paths(
            "experiments", "checkpoints", f"{wc.model}-{wc.number}.pt"
        ),
        version=STAGE_VERSIONS["train"],
    shell:
        "fluxatlas train pretrain --settings {params.settings:q} --system {params.system:q} --grid {params.grid:q}"
        " --member {wildcards.number:q} --samples {input:q} --output {output.member:q} --history {output.history:q}"
        " --emulation {output.emulation:q} --checkpoint {params.checkpoint:q} --threads {threads:q} 2> {log:q}"


rule experiment:
    input:
        start=experiment_start_file,
        samples="<results>/synthesize/samples.nc",
        sites_attributes="<results>/regrid/sites_attributes.csv",
        sites_forcing="<results>/regrid/sites_forcing.parquet",
        observations="<results>/ingest/sites/observations.parquet",
        periods="<results>/ingest/sites/periods.parquet",
        series=RUN.series,
        truth=(
            "<results>/evaluate/site_truth.parquet"
            if RUN.config.experiments.hidden
            else []
        ),
    output:
        "<results>/experiments/{split}/{share}/{model}/{transfer}/{number}.csv",
    log:
        "<results>/logs/experiments/{split}/{share}/{model}/{transfer}/{number}.log",
    benchmark:
        "<results>/benchmarks/experiments/{split}/{share}/{model}/{transfer}/{number}.tsv"
    wildcard_constraints:
        split=r"[a-z]+",
        share=r"[0-9.e-]+",
        model=r"[a-z_]+",
        transfer=r"[a-z0-9]+",
        number=r"\d+",
    priority: experiment_priority
    conda:
        "../envs/fluxatlas.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=trained("experiment", 240, "model"),
    params:
        settings=settings("experiment"),
        start=lambda wc, input: repeat("--start", input.start),
        series=RUN.series_options,
        gap=option("sites", "completion_gap_days"),
        folds=option("experiments", "folds"),
        target=repeat("--target", RUN.config.experiments.target or []),
        truth=lambda wc, input: repeat("--truth", input.truth),
        hidden=repeat("--hidden", RUN.config.experiments.hidden),
        given=lambda wc: RUN.given_options(wc.model),
        permutation=known(lambda wc: repeat("--permutation", RUN.permutation or [])),
        grid=RUN.grid.name,
        system=RUN.system.key,
        version=STAGE_VERSIONS["train"],
    shell:
        "fluxatlas experiments run --settings {params.settings:q} --system {params.system:q} --grid {params.grid:q}"
        " --split {wildcards.split:q} --share {wildcards.share:q} --model {wildcards.model:q}"
        " --transfer {wildcards.transfer:q} --number {wildcards.number:q} --folds {params.folds:q} {params.start:q}"
        " --samples {input.samples:q} --sites-attributes {input.sites_attributes:q}"
        " --sites-forcing {input.sites_forcing:q} --observations {input.observations:q} --periods {input.periods:q} {params.series:q}"
        " {params.target:q} {params.truth:q} {params.hidden:q} {params.given:q} {params.permutation:q} --completion-gap-days {params.gap:q} --output {output:q} --threads {threads:q} 2> {log:q}"
