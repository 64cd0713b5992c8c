"""A real Slurm, its controller and two nodes on this machine: an array of which a task is cancelled, and the rest."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from console import vidaug
from test_parts import WORDS, files
from test_status import program, told

from vidaug_cli.augment.verify import verify
from vidaug_cli.data.shard.format import finished_shards

COPIES = 48
TASKS = 4
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
CONFIGURATION = """
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
KillWait=5
NodeName=one NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2
NodeName=two NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2
PartitionName=all Nodes=ALL Default=YES State=UP
"""


def free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Cluster:
    """What is asked of Slurm, with `vidaug` on the path."""

    def __init__(self, folder: Path) -> None:
        path = os.pathsep.join([str(program(folder)), os.environ["PATH"], "/usr/sbin"])
        self.folder, self.environment = folder, os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}

    def run(self, line: str) -> str:
        words = ["sh", "-ec", line]
        done = subprocess.run(words, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def until(self, line: str, said: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while (found := self.run(line)) != said:
            assert time.monotonic() < end, found
            time.sleep(0.1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if missing := [name for name in PROGRAMS if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")]:
        pytest.skip(f"no Slurm here: {', '.join(missing)} not found")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:  # a short name, as that of a socket has to be
        folder = Path(name)
        (folder / "state").mkdir()
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o400)
        conf = CONFIGURATION.format(ports=free_ports(3), user=getpass.getuser(), folder=folder)
        (folder / "slurm.conf").write_text(conf)
        files = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munge.pid", "log-file": "munge.log"}
        own = [f"--{key}={folder / value}" for key, value in (files | {"seed-file": "munge.seed"}).items()]
        cluster = Cluster(folder)
        for number, words in enumerate(
            [
                ["munged", "--foreground", "--force", *own],
                ["slurmctld", "-D", "-c"],
                *(["slurmd", "-D", "-N", node] for node in ("one", "two")),
            ]
        ):
            log = stack.enter_context((folder / f"{number}.{words[0]}.log").open("wb"))
            process = subprocess.Popen(words, env=cluster.environment, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            if words[0] == "munged":
                while not (folder / "munge.socket").exists():
                    assert process.poll() is None, (folder / "0.munged.log").read_text()
                    time.sleep(0.02)
        cluster.until("sinfo -h -o '%D %t' 2> /dev/null || true", "2 idle\n")
        yield cluster
        cluster.run("scancel --state=pending --user=$(id -un); scancel --user=$(id -un)")
        cluster.until("squeue -h", "")


def test_the_line_of_status_ends_an_array_of_which_a_task_was_cancelled(
    cluster: Cluster, video_folder: Path, tmp_path: Path
) -> None:
    out, alone = tmp_path / "out", tmp_path / "alone"
    words = ["augment", video_folder, "-o", out, *WORDS, "--copies", COPIES]
    wrapped = shlex.quote(f"echo node $SLURMD_NODENAME; vidaug {shlex.join(map(str, words))}")
    job = cluster.run(f"sbatch --parsable --array=0-{TASKS - 1} -o log.%a --wrap {wrapped}").strip()

    def done_by(task: int) -> int:
        return sum(shard % TASKS == task for shard in finished_shards(out))

    end = time.monotonic() + 120
    while not done_by(1):
        assert time.monotonic() < end, [path.read_text() for path in cluster.folder.glob("log.*")]
        time.sleep(0.05)
    cluster.run(f"scancel {job}_1")
    cluster.until("squeue -h -o %K,%T", "", seconds=180)
    said = [(cluster.folder / f"log.{task}").read_text() for task in range(TASKS)]
    assert {text.splitlines()[0] for text in said} == {"node one", "node two"}
    assert all(f"part {task}/{TASKS}, as this is a task of a job array of Slurm" in said[task] for task in (0, 2, 3))
    assert [done_by(task) for task in (0, 2, 3)] == [COPIES // TASKS] * 3
    assert 0 < done_by(1) < COPIES // TASKS

    kept = {path: path.stat().st_mtime_ns for path in finished_shards(out).values()}
    found = told(out, COPIES)
    assert (found["running"], found["at_work"], found["missing"]) == (0, [], COPIES - len(kept))
    (line,) = found["commands"]
    assert line.startswith("sbatch --array=1 --wrap ")
    cluster.run(line)
    cluster.until("squeue -h -o %K,%T", "", seconds=120)
    assert told(out, COPIES)["commands"] == []
    assert {path: path.stat().st_mtime_ns for path in kept} == kept

    assert vidaug(*words[:2], "-o", alone, *words[4:]).code == 0
    assert files(out) == files(alone)
    assert verify(out, workers=1) == ([], COPIES)
    assert not list(out.glob(".*"))
