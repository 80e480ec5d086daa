"""A SLURM of several nodes on this one host, with accounting, for ``make slurm-test``; needs root and apt (Debian).

``python tests/slurm/one_host.py up`` or ``down``. Every daemon gets its files below one folder of ours and is stopped
by the process id that it wrote there; a SLURM that this host has already is refused, never touched.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PACKAGES = {
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "slurmdbd": "slurmdbd",
    "sbatch": "slurm-client",
    "munged": "munge",
    "mariadbd": "mariadb-server",
}
"""Program -> package of the distribution that brings it."""
HOME = Path("/var/lib/fluxatlas-slurm")
CONFIGURATION = Path("/etc/slurm/slurm.conf")
MARK = "# written by fluxatlas tests/slurm/one_host.py"
ACCOUNT, PARTITION = "flux", "main"
NODES = ("n1", "n2", "n3")
DATABASE_PORT = 33407


def run(*command: str, check: bool = True, text: str | None = None) -> str:
    """What ``command`` prints; its errors are shown where it fails and ``check`` is set."""
    done = subprocess.run(command, capture_output=True, text=True, input=text, check=False)
    if check and done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def until(what: str, seconds: float, reached: Callable[[], bool]) -> None:
    """Wait until ``reached``; ends with the last lines of the daemons' logs where that takes too long."""
    end = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > end:
            logs = "".join(f"{path.name}:\n{path.read_text(errors='replace')[-800:]}\n" for path in HOME.glob("*.log"))
            raise SystemExit(f"waited {seconds:.0f} s for {what}\n{logs}")
        time.sleep(0.2)


def succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def install() -> None:
    """The packages that are absent; no service is started by their installation."""
    absent = sorted({package for program, package in PACKAGES.items() if shutil.which(program) is None})
    if not absent:
        return
    if os.geteuid() or shutil.which("apt-get") is None:
        raise SystemExit(f"slurm-test needs root and apt-get to install {' '.join(absent)}")
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        run("apt-get", "update", "-qq")
        run(
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            *["apt-get", "install", "-y", "-qq", "--no-install-recommends"],
            *absent,
        )
    finally:
        if ours:
            policy.unlink()


def configuration() -> str:
    """The text of slurm.conf: three nodes of two processors and 6 GB, which are this host. No cgroups are needed."""
    nodes = "\n".join(
        f"NodeName={name} NodeHostname={socket.gethostname().split('.')[0]} NodeAddr=127.0.0.1 Port={18101 + number}"
        " CPUs=2 RealMemory=6000"
        for number, name in enumerate(NODES)
    )
    return f"""{MARK}
ClusterName=onehost
SlurmctldHost={socket.gethostname().split(".")[0]}(127.0.0.1)
SlurmctldPort=18100
SlurmUser=slurm
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=3,bf_interval=3
ReturnToService=2
KillWait=3
SlurmdTimeout=20
MaxJobCount=20000
MaxArraySize=2001
StateSaveLocation={HOME}/state
SlurmdSpoolDir={HOME}/spool.%n
SlurmctldPidFile={HOME}/slurmctld.pid
SlurmdPidFile={HOME}/slurmd.%n.pid
SlurmctldLogFile={HOME}/slurmctld.log
SlurmdLogFile={HOME}/slurmd.%n.log
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=18119
AccountingStorageEnforce=associations,limits
AccountingStoreFlags=job_comment
{nodes}
PartitionName={PARTITION} Nodes={",".join(NODES)} Default=YES MaxTime=24:00:00 State=UP
"""


def munge() -> None:
    """munge, by which the daemons trust each other; one that runs already is used and left."""
    if succeeds("munge", "-n"):
        return
    key = Path("/etc/munge/munge.key")
    if not key.exists():
        key.parent.mkdir(parents=True, exist_ok=True)
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        shutil.chown(key, "munge", "munge")
    for folder, mode in (("/run/munge", 0o755), ("/var/lib/munge", 0o711), ("/var/log/munge", 0o700)):
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder).chmod(mode)
        shutil.chown(folder, "munge", "munge")
    run("runuser", "-u", "munge", "--", "munged", "--force", "--pid-file=/run/munge/fluxatlas.pid")
    until("munge", 10, lambda: succeeds("munge", "-n"))
    (HOME / "munged.pid").write_text(Path("/run/munge/fluxatlas.pid").read_text())


def database() -> None:
    """MariaDB in a folder of ours, and slurmdbd on top of it."""
    data, socket_ = HOME / "mysql", HOME / "mysql" / "socket"
    data.mkdir(mode=0o750)
    shutil.chown(data, "mysql", "mysql")
    run("mariadb-install-db", "--no-defaults", "--user=mysql", f"--datadir={data}", "--skip-test-db")
    with (HOME / "mariadb.log").open("w") as log:
        subprocess.Popen(
            ["mariadbd", "--no-defaults", "--user=mysql", f"--datadir={data}", f"--socket={socket_}",
             f"--pid-file={data}/pid", "--bind-address=127.0.0.1", f"--port={DATABASE_PORT}", "--skip-log-bin",
             "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0"],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    asked = ("mariadb", "--no-defaults", "-uroot", "-S", str(socket_))
    until("MariaDB", 60, lambda: succeeds(*asked, "-e", "select 1"))
    (HOME / "mariadbd.pid").write_text((data / "pid").read_text())
    word = secrets.token_hex(12)
    run(*asked, text=f"create database slurm_acct_db; create user slurm@'%' identified by '{word}';"
        "grant all on slurm_acct_db.* to slurm@'%';")  # fmt: skip
    settings = CONFIGURATION.with_name("slurmdbd.conf")
    settings.write_text(
        f"{MARK}\nAuthType=auth/munge\nDbdHost=localhost\nDbdPort=18119\nSlurmUser=slurm\nLogFile={HOME}/slurmdbd.log\n"
        f"PidFile={HOME}/slurmdbd.pid\nStorageType=accounting_storage/mysql\nStorageHost=127.0.0.1\n"
        f"StoragePort={DATABASE_PORT}\nStorageUser=slurm\nStoragePass={word}\n"
    )
    settings.chmod(0o600)
    shutil.chown(settings, "slurm", "slurm")
    run("slurmdbd")
    until("slurmdbd", 60, lambda: succeeds("sacctmgr", "-n", "list", "cluster"))
    for words in ("cluster onehost", f"account {ACCOUNT}", f"user {os.environ.get('USER', 'root')} account={ACCOUNT}"):
        run("sacctmgr", "-i", "-Q", "add", *words.split())


def up() -> None:
    """Install what is absent, start all daemons, and wait until every node is idle."""
    if CONFIGURATION.exists() and MARK not in CONFIGURATION.read_text():
        raise SystemExit(f"{CONFIGURATION} is not ours: this host has a SLURM; slurm-test needs a host without one")
    install()
    down()
    for folder in (HOME, HOME / "state", CONFIGURATION.parent):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.chown(folder, "slurm", "slurm")
    CONFIGURATION.write_text(configuration())
    munge()
    database()
    run("slurmctld")
    until("slurmctld", 60, lambda: succeeds("scontrol", "ping"))
    for name in NODES:
        start_node(name)
    until("idle nodes", 60, lambda: run("sinfo", "-h", "-N", "-o", "%T", check=False).split() == ["idle"] * len(NODES))


def start_node(name: str) -> None:
    """Start the daemon of one node."""
    (HOME / f"spool.{name}").mkdir(exist_ok=True)
    run("slurmd", "-N", name)


def stop(name: str) -> None:
    """End the daemon that wrote ``<name>.pid``, and wait for it."""
    note = HOME / f"{name}.pid"
    try:
        process = int(note.read_text())
        os.kill(process, signal.SIGTERM)
    except (OSError, ValueError):
        note.unlink(missing_ok=True)
        return
    end = time.monotonic() + 20
    while Path(f"/proc/{process}").exists() and time.monotonic() < end:
        time.sleep(0.1)
    note.unlink(missing_ok=True)


def down() -> None:
    """Stop what :func:`up` started and remove its files; the packages stay."""
    for name in (*(f"slurmd.{node}" for node in NODES), "slurmctld", "slurmdbd", "mariadbd", "munged"):
        stop(name)
    shutil.rmtree(HOME, ignore_errors=True)
    for path in (CONFIGURATION, CONFIGURATION.with_name("slurmdbd.conf")):
        if path.exists() and MARK in path.read_text():
            path.unlink()


if __name__ == "__main__":
    {"up": up, "down": down}[sys.argv[1]]()
