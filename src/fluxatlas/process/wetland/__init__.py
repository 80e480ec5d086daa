"""Methane of wetlands in a column of peat, and a lumped model that stands for an imperfect simulator of it.

``column.simulate`` runs either, ``rates`` has the formulas, ``choices`` the names of the structural choices. Import
from the modules: what numba compiles is loaded with :mod:`.column` alone.

Form after Walter & Heimann (2000, doi:10.1029/1999GB001204) and Zhuang et al. (2004, doi:10.1029/2004GB002239), with
options of CLM4Me (Riley et al. 2011, doi:10.5194/bg-8-1925-2011); several numbers are recalled or proposed here, which
the table ``resources/parameters/wetland.csv`` tells apart by its tags.
"""
