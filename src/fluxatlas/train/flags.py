"""Values of the layer ``applicable`` of the product; costs nothing to import."""

NO_CELL, UNJUDGED, OUTSIDE, INSIDE, NEAR = -128, -1, 0, 1, 2
"""No active cell; inside the library of samples, with too few sites to tell how near; outside the library; inside it
and far from all sites; near a site."""
MEANINGS = (
    "inside_library_but_too_few_sites_to_judge outside_library inside_library_but_far_from_observations"
    " near_observations"
)
"""Words for -1 to 2, as CF has them."""
