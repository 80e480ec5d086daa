#!/usr/bin/env bash
# dask-jobqueue: `import dask_jobqueue` alone takes Ctrl-C from the program that imports it.
#
# The module of its runner sets a handler of SIGINT when it is imported, which calls sys.exit(), and the classes of all
# batch systems import it. After that an interruption raises SystemExit and never KeyboardInterrupt: code that catches the
# latter to tidy up is passed by, `except Exception` around it still is, and the program ends with status 0, as if it had
# done its work, where Python ends with 130 or by the signal. For the same reason the package cannot be imported in a
# thread: ValueError, signal only works in main thread.
# Seen with dask-jobqueue 0.9.0. Exits non-zero when this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dask-jobqueue==0.9.0
cd "$folder"
cat > wait.py <<'PY'
import os
import signal
import sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell without job control starts programs with it ignored
if sys.argv[1] == "with":
    import dask_jobqueue  # noqa: F401
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("tidied up")
    sys.exit(130)
PY
cat > thread.py <<'PY'
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

try:
    ThreadPoolExecutor().submit(import_module, "dask_jobqueue").result()
except ValueError as problem:
    print(problem)
PY
for how in without with; do
    status=0; said=$(venv/bin/python wait.py $how) || status=$?
    echo "$how the import: exit status $status, ${said:-nothing tidied up}"
    [ "$how $status $said" = "without 130 tidied up" ] || [ "$how $status $said" = "with 0 " ]
done
said=$(venv/bin/python thread.py)
echo "imported in a thread: $said"
grep -q "main thread" <<< "$said"
