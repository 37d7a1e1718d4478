"""What it is all for: a batch job from its script to its output (RUN-05, FILE-01, ERR-02)."""

from __future__ import annotations

import asyncio
import re

from transport_core import Capability, CommandFailedError, Delivery

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance.samples import failure

OVER = re.compile(rb"JobState=(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL)")
RUNS = re.compile(rb"JobState=RUNNING")
# The first job after the start of a cluster may stay pending for some seconds.
PATIENCE = 25.0


async def _submit(case: Case, script: str, name: str) -> tuple[bytes, bytes]:
    """Put a batch script, submit it, and return the job's id and the file of its output."""
    local, remote, output = case.local(name), case.remote(name), case.remote(f"{name}.out")
    local.write_text(f"#!/bin/sh\n{script}\n")
    await case.transport.put(local, remote)
    where = remote.rpartition(b"/")[0]
    words = [b"sbatch", b"--parsable", b"--output=" + output, remote]
    result = await case.transport.run(words, cwd=where, check=True)
    job = result.stdout.strip().partition(b";")[0]
    assert job.isdigit(), result
    return job, output


async def _until(case: Case, job: bytes, state: re.Pattern[bytes]) -> bytes:
    """Poll until the job is in a state, and return the last answer."""

    async def reached() -> bytes:
        shown = await case.transport.run(["scontrol", "show", "job", job], check=True)
        if state.search(shown.stdout):
            return shown.stdout
        await asyncio.sleep(0.1)
        return b""

    return await case.eventually(reached, seconds=PATIENCE)


class SlurmTests:
    """The life of a job, seen through run, put and get alone."""

    @clause("RUN-05", offers=("slurm",), about="jobs", seconds=60.0)
    async def test_a_job_runs_and_its_output_comes_back(self, case: Case) -> None:
        """Put a script, submit, look, wait, fetch the output: it is what the job wrote."""
        job, output = await _submit(case, 'printf "job %s ran" "$SLURM_JOB_ID"', "job.sh")
        queue = await case.transport.run(
            ["squeue", "--noheader", "--states=all", "--format=%i", f"--jobs={job.decode()}"]
        )
        assert queue.stdout.split() == [job]
        over = await _until(case, job, OVER)
        assert b"JobState=COMPLETED" in over
        back = case.local("back")
        await case.transport.get(output, back)
        assert back.read_bytes() == b"job " + job + b" ran"

    @clause("RUN-05", offers=("slurm",), about="jobs", seconds=60.0)
    async def test_a_running_job_can_be_cancelled(self, case: Case) -> None:
        """After scancel the job is over, and its processes are gone."""
        job, _ = await _submit(case, f"sleep 1000 # {case.marker}", "long.sh")
        try:
            await _until(case, job, RUNS)
        finally:
            await case.transport.run(["scancel", job], check=True)
        over = await _until(case, job, OVER)
        assert b"JobState=CANCELLED" in over

    @clause("RUN-05", offers=("slurm", "accounting"), about="jobs", seconds=60.0)
    async def test_sacct_tells_how_a_job_ended(self, case: Case) -> None:
        """State and exit code of a job come from Slurm's database soon after its end."""
        job, _ = await _submit(case, "exit 7", "fails.sh")
        over = await _until(case, job, OVER)
        assert b"JobState=FAILED" in over
        words = [b"sacct", b"-X", b"-P", b"-n", b"-o", b"JobID,State,ExitCode", b"-j", job]

        async def told() -> bool:
            shown = await case.transport.run(words, check=True)
            return shown.stdout.strip() == job + b"|FAILED|7:0"

        # It is there within a second as a rule. How soon is Slurm's affair, and a look is a whole
        # sacct, which takes that long by itself on a busy machine: what is asserted is what comes.
        await case.eventually(told, seconds=10.0)

    @clause("ERR-02", needs=Capability.RUN, offers=("slurm",), about="jobs")
    async def test_a_refused_submission_is_told_from_an_unknown_one(self, case: Case) -> None:
        """What Slurm refused is finished: there is no job, and no need to look for one."""
        words = ["sbatch", "--parsable", "--partition=no-such-partition", "--wrap=true"]
        error = await failure(CommandFailedError, case.transport.run(words, check=True))
        assert error.delivery is Delivery.FINISHED
        assert error.result is not None
        assert b"partition" in error.result.stderr
