# ingest, where `forcing.fetch` is true: get the files of the forcing that are absent from the folder `forcing.path`.
# The rule knows only the absent ones, so that nothing that was once fetched is ever deleted or fetched again.
# At most two at a time: providers like few. `--resources downloads=4` changes it.
workflow.global_resources.setdefault("downloads", 2)


rule fetch_forcing:
    output:
        RUN.archive.folder + "/{name}",
    log:
        "<results>/logs/ingest/fetch/{name}.log",
    benchmark:
        "<results>/benchmarks/ingest/fetch/{name}.tsv"
    wildcard_constraints:
        name="|".join(re.escape(name) for name in RUN.absent_forcing),
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        downloads=1,
        mem_mb=memory(1500),
        runtime=minutes(1440),
    params:
        options=RUN.fetch_options,
    shell:
        "fluxatlas fetch {params.options:q} --only {wildcards.name:q} 2> {log:q}"
