"""What a script finds at its first line: nothing that has read the environment it may still set."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HEAVY = ("numpy", "torch", "jax", "triton", "tqdm", "tabulate", "multiprocessing")

FIRST_LINE = f"""
import json, sys
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""

# OpenBLAS starts its threads when numpy is imported, as many as its environment says.
THREADS = """
import os
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy
print(len(os.listdir("/proc/self/task")))
"""

RUN = ("-m", "goodput", "run")
TWIN = ("-c", "import sys, numpy; from goodput.cli import main; main(['run', sys.argv[1]])")
"""`goodput run` as it would be if something of it imported numpy before the script."""


def printed(folder: Path, script: str, *how: str) -> str:
    path = folder / "script.py"
    path.write_text(script)
    environment = {name: value for name, value in os.environ.items() if "_NUM_THREADS" not in name}
    done = subprocess.run(
        [sys.executable, *how, str(path)],
        cwd=folder,
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout, done.stderr
    return done.stdout


def test_nothing_heavy_is_imported_before_the_script(tmp_path: Path) -> None:
    assert json.loads(printed(tmp_path, FIRST_LINE, *RUN)) == []


def test_something_heavy_would_be_seen(tmp_path: Path) -> None:
    assert "numpy" in json.loads(printed(tmp_path, FIRST_LINE, *TWIN))


def test_options_that_are_read_before_the_script_import_nothing_heavy(
    tmp_path: Path, recording_file: Path
) -> None:
    options = ("--capacity", str(recording_file), "--json", "report.json", "--by", "module")
    assert json.loads(printed(tmp_path, FIRST_LINE, *RUN, *options)) == []


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads in /proc")
def test_a_scripts_own_thread_variables_take_effect(tmp_path: Path) -> None:
    assert printed(tmp_path, THREADS, *RUN) == printed(tmp_path, THREADS) == "1\n"


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads in /proc")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core has one thread in any case")
def test_thread_variables_that_come_too_late_would_be_seen(tmp_path: Path) -> None:
    assert printed(tmp_path, THREADS, *TWIN) != "1\n"


@pytest.mark.slow
def test_a_script_with_a_module_of_a_librarys_name_has_its_own_and_gets_its_report(
    tmp_path: Path,
) -> None:
    (tmp_path / "tabulate.py").write_text("NAME = 'mine'")
    (tmp_path / "tqdm.py").write_text("NAME = 'mine'")
    script = """
        import tabulate, tqdm
        print(tabulate.NAME, tqdm.NAME)
        import torch
        model = torch.nn.Linear(8, 8)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(40):
            model(torch.ones(4, 8)).sum().backward()
            optimizer.step()
    """
    told = printed(tmp_path, textwrap.dedent(script), *RUN, "--warmup", "1", "--steps", "3")
    assert told.startswith("mine mine\ngoodput: ")
    assert "program goodput" in told
