"""Carbon of vegetation and soil: light-use efficiency, autotrophic respiration, pools of litter and soil.

``model.simulate`` runs it on the heat and water of the soil column, ``choices.CHOICES`` names its structural choices,
``model.priors`` gives the priors of its parameters together with those of heat and water. Import from the modules: what
numba compiles is loaded with :mod:`.model` alone.
"""
