#!/usr/bin/env bash
# Install the outside tools that some tests need (CDO and GDAL's command line to compare with, Chromium to open the page
# of `fluxatlas explore`) where this machine allows it.
# Where it does not, those tests are skipped and say why.
set -u
missing=()
command -v cdo >/dev/null || missing+=(cdo)
command -v gdalinfo >/dev/null || missing+=(gdal-bin)
command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}") >/dev/null 2>&1 && exit 0
fi
echo "not installed: ${missing[*]} (needs root and apt); tests that need them are skipped"
