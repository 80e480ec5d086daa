"""Carbon of a field under maize, soybean or winter wheat: the generator of synthetic data for crop carbon.

Light-use photosynthesis, thermal-time development, maintenance and growth respiration, allocation and harvest over a
RothC soil, one day at a time, all in carbon: section 5 of the science notes. :func:`~.field.simulate` runs it on the
soil heat and water of :mod:`fluxatlas.process`, :func:`~.field.grow` on soil that is given. It stands in for ecosys in
the method of Liu et al. (2024, doi:10.1038/s41467-023-43860-5). It knows no nitrogen and no tile drainage and has one
calibration; it is not a validated crop model.
"""
