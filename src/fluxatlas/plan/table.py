"""The plan as text."""

from __future__ import annotations

from ..errors import counted
from ..run import Run
from .costs import calibration
from .profile import Profile
from .wall import by_profile, gpu_hours, wall_hours
from .work import StagePlan, benchmark, comparison_jobs, permutations, plan, twins


def table(run: Run, cores: int, profile: Profile | None = None) -> str:
    """The plan of ``run`` on ``cores`` cores, or by the limits of ``profile``."""
    rows = plan(run)
    lines = [run.describe(), "", f"{'stage':<12}{'jobs':>8}{'core-hours':>12}{'MB a job':>10}{'disk GB':>10}"]
    lines += [f"{r.stage:<12}{r.jobs:>8,}{r.core_hours:>12.2f}{r.memory_mb:>10,.0f}{r.disk_gb:>10.2f}" for r in rows]
    lines.append(
        f"{'sum':<12}{sum(r.jobs for r in rows):>8,}{sum(r.core_hours for r in rows):>12.2f}"
        f"{max(r.memory_mb for r in rows):>10,.0f}{sum(r.disk_gb for r in rows):>10.2f}"
    )
    if profile:
        lines += ["", *(f"note: {profile.name}: {text}" for text in profile.unused), *_profile_lines(run, profile)]
    else:
        lines += ["", f"about {_duration(wall_hours(rows, cores))} on {cores} cores like those"]
    lines[-1] += f" {calibration(run).origin}"
    lines += _gpu_lines(run, profile)
    lines += _beside(run, rows)
    return "\n".join(lines)


def _beside(run: Run, rows: list[StagePlan]) -> list[str]:
    """What is not part of the run, and what it will be refused for."""
    jobs, hours = benchmark(run)
    lines = [f"`snakemake benchmark` (not part of the run): {jobs:,} jobs more, {hours:.2f} core-hours"]
    more = permutations(run)
    if more is None:
        lines[-1] += "; those of permuted drivers are known once the sites are read"
    elif more:
        lines[-1] += f"; {more:.2f} more for permuted drivers"
    if jobs := comparison_jobs(run):
        lines.append(f"`snakemake comparison` (not part of the run): {jobs:,} jobs more")
    jobs, core_hours = twins(run)
    if jobs:
        lines.append(f"`snakemake twin` (not part of the run): {jobs:,} jobs, at most {core_hours:.2f} core-hours")
    needed, allowed = next(r.memory_mb for r in rows if r.stage == "infer"), run.config.infer.memory_mb
    if needed > allowed:
        lines.append(f"infer.memory_mb is {allowed:,}: inference will refuse to start; set it to {needed:,.0f} or more")
    return lines


def _profile_lines(run: Run, profile: Profile) -> list[str]:
    """The stages under a profile, and how long they take."""
    rows = by_profile(run, profile)
    heads = f"{'at once':>8}{'cores':>7}{'MB':>8}{'core-hours':>12}{'hours':>9}"
    lines = [f"by {profile.name} ({profile.executor or 'local'}):", f"{'stage':<12}{heads}"]
    for row in rows:
        many = "all" if row.at_once is None or row.at_once >= row.jobs else f"{row.at_once:,}"
        sizes = f"{many:>8}{row.cores:>7}{row.memory_mb:>8,.0f}{row.core_hours:>12.2f}{row.hours:>9.2f}"
        lines.append(f"{row.stage:<12}{sizes}")
    total = f"about {_duration(sum(row.hours for row in rows))}, {sum(row.core_hours for row in rows):.2f} core-hours"
    if profile.remote:
        total += f" with Snakemake's own ({calibration(run).snakemake:.1f} s a job), waits in the queue not counted,"
    return [*lines, f"{total} on cores like those"]


def _gpu_lines(run: Run, profile: Profile | None) -> list[str]:
    rows = gpu_hours(run, profile)
    lines = [f"at most {row.hours:.2f} GPU-hours for rule {row.rule}" for row in rows]
    idle = [row.rule for row in rows if not row.used]
    if idle:
        lines.append(
            f"GPUs of {', '.join(idle)} stand idle: training uses one with train.device: cuda, nothing else does"
        )
    return lines


def _duration(hours: float) -> str:
    if hours < 1:
        return counted(max(1, round(hours * 60)), "minute")
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"
