"""A Slurm of one node in a directory of its own: Slurm's own daemons, nothing of the machine's configuration."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from support import until

DAEMONS = ("munged", "slurmctld", "slurmd")
# The devices stand for GPUs, so that scripts which ask for one run unchanged. Three tasks run at once on any machine.
DEVICES = ("/dev/null", "/dev/zero", "/dev/full")
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"}
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# A task that queues itself again waits for as long as a credential lives.
AuthInfo=socket={place}/munge,cred_expire=5
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.log
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1
GresTypes=gpu
MaxArraySize=100000
NodeName={host} NodeAddr=127.0.0.1 CPUs=3 Gres=gpu:3
PartitionName=all Nodes=ALL Default=YES
"""


class Unavailable(Exception):
    """Slurm is not installed, or does not start here."""


class Slurm:
    """Slurm's commands, for the cluster that runs."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def run(self, *line: str, **variables: str) -> str:
        """Runs one of Slurm's commands and returns what it prints."""
        environment = {**os.environ, **variables, "SLURM_CONF": f"{self.place / 'slurm.conf'}"}
        done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def task(self, job: str, number: int) -> dict[str, str]:
        """Returns what Slurm knows of a task of an array."""
        return dict(re.findall(r"(\w+)=(\S+)", self.run("scontrol", "show", "job", f"{job}_{number}")))

    def finish(self, job: str) -> None:
        """Waits until no task of a job waits or runs."""
        line = ("squeue", "--noheader", "--states=all", "--array", "--format=%T", "--jobs", job)
        until(lambda: not {*self.run(*line).split()} - ENDED, "the job does not end")


@contextmanager
def one_node() -> Iterator[Slurm]:
    """Starts the daemons, and ends them and their jobs afterwards."""
    missing = [name for name in (*DAEMONS, "sbatch") if found(name) is None]
    if missing:
        raise Unavailable(f"{', '.join(missing)} not installed (Debian's slurm-wlm has them)")
    # Not where tests usually have their files: munge wants a short path that every user may enter.
    place = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    place.chmod(0o755)
    daemons: list[subprocess.Popen[bytes]] = []
    slurm = Slurm(place)
    try:
        configure(place)
        munge = [f"--{name}={place / file}" for name, file in (
            ("key-file", "key"), ("socket", "munge"), ("pid-file", "pid"), ("log-file", "munged.log"), ("seed-file", "seed"),
        )]
        daemons.append(start(place, "munged", "--foreground", "--force", *munge))
        wait_for(place, daemons, lambda: (place / "munge").exists())
        daemons.append(start(place, "slurmctld", "-D"))
        daemons.append(start(place, "slurmd", "-D"))
        wait_for(place, daemons, lambda: state_of_node(slurm) == "idle")
        yield slurm
    finally:
        stop(slurm, daemons)
        shutil.rmtree(place, ignore_errors=True)


def found(name: str) -> str | None:
    """Returns where a program is. Daemons are not on every user's path."""
    return shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"]))


def configure(place: Path) -> None:
    for name in ("state", "spool"):
        (place / name).mkdir()
    (place / "key").write_bytes(os.urandom(1024))
    (place / "key").chmod(0o600)
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        ports = {"controller": one.getsockname()[1], "node": other.getsockname()[1]}
    host = socket.gethostname().split(".")[0]
    text = CONFIGURATION.format(place=place, host=host, user=getpass.getuser(), **ports)
    (place / "slurm.conf").write_text(text)
    (place / "gres.conf").write_text("".join(f"Name=gpu File={device}\n" for device in DEVICES))


def start(place: Path, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "SLURM_CONF": f"{place / 'slurm.conf'}"}
    with (place / f"{name}.out").open("wb") as output:
        return subprocess.Popen(
            [f"{found(name)}", *arguments],
            cwd=place,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def state_of_node(slurm: Slurm) -> str:
    environment = {**os.environ, "SLURM_CONF": f"{slurm.place / 'slurm.conf'}"}
    line = ["sinfo", "--noheader", "--format=%T"]
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60).stdout.strip()


def wait_for(place: Path, daemons: list[subprocess.Popen[bytes]], ready: Callable[[], bool]) -> None:
    """Waits for the daemons; where one ends, or they are never ready, tells why."""
    for _ in range(300):
        if ready():
            return
        for name, daemon in zip(DAEMONS, daemons):
            if daemon.poll() is not None:
                said = (place / f"{name}.out").read_text(errors="replace").strip().splitlines()
                raise Unavailable(f"{name} ends with {daemon.returncode}: {said[-1] if said else 'it says nothing'}")
        time.sleep(0.1)
    raise Unavailable("Slurm's node is not ready after 30 s")


def stop(slurm: Slurm, daemons: list[subprocess.Popen[bytes]]) -> None:
    if len(daemons) == len(DAEMONS) and all(daemon.poll() is None for daemon in daemons):
        slurm.run("scancel", "--signal=KILL", "--full", "--user", getpass.getuser())
        slurm.run("scancel", "--user", getpass.getuser())
        until(lambda: not slurm.run("squeue", "--noheader"), "a job outlives its cancellation")
    for daemon in reversed(daemons):
        daemon.terminate()
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()
