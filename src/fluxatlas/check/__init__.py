"""``fluxatlas check``: everything that a run would be refused for hours later, looked at before the first job.

The judges are the readers of the stages themselves, run on headers, small places and single days:
:mod:`.forcing` (files of all years, mapping, units, one day), :mod:`.layers` (static layers, textures, regions) and
:mod:`.tables` (series of gases, sites, constraints). :func:`.run.look` asks them all and gathers what they refuse.
"""
