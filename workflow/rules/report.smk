# report: figures (placeholder until the commands land)
