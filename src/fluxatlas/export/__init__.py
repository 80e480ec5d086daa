"""What others go on with: networks of members, priors of atmospheric inversions, descriptions for archives."""
