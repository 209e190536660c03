"""A script under `goodput run` does what it does under plain python; compared side by side."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from goodput.errors import UsageError
from goodput.recording.script import ScriptTarget, check, clash

# Runs a target as `goodput run` does, without the report: what is printed is the script's own.
DRIVER = """
import sys
from goodput.recording.script import ScriptTarget, run
words = sys.argv[1:]
module = words.pop(0) == "-m"
target = ScriptTarget(None if module else words[0], words[0] if module else None, tuple(words[1:]))
sys.exit(run(target))
"""


def environment(repository: Path) -> dict[str, str]:
    paths = (str(repository / "profiler"), str(repository / "kernels"))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def both(tmp_path, repository):
    """Runs words under plain python and under goodput, and returns what each gave."""
    driver = tmp_path / "the driver" / "driver.py"
    driver.parent.mkdir()
    driver.write_text(DRIVER)

    def run(*words, cwd=tmp_path, stdin=""):
        module = words[0] == "-m"
        ours = [sys.executable, str(driver), *(words if module else ("-f", *words))]
        commands = ([sys.executable, *words], ours)
        return [
            subprocess.run(
                command,
                cwd=cwd,
                env=environment(repository),
                input=stdin,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            for command in commands
        ]

    return run


def same(plain, ours):
    assert ours.stderr == plain.stderr
    assert ours.stdout == plain.stdout
    assert ours.returncode == plain.returncode


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


SURROUNDINGS = """
    import os, sys
    print(__name__, __file__, __spec__ and __spec__.name, __package__, sys.argv, os.getcwd())
    print(sys.path[0], sys.modules["__main__"].__dict__ is globals(), sorted(k for k in globals()))
    print(type(__builtins__).__name__, type(__loader__).__name__, __doc__, __annotations__)
    if __name__ == "__main__":
        print("main", input())
"""


def test_surroundings_of_a_script(both, tmp_path):
    write(tmp_path, "inner/script.py", SURROUNDINGS)
    same(*both("inner/script.py", "--flag", "x y", stdin="typed\n"))


def test_surroundings_of_a_linked_script(both, tmp_path):
    target = write(tmp_path, "inner/script.py", SURROUNDINGS)
    (tmp_path / "link.py").symlink_to(target)
    same(*both("link.py", stdin="typed\n"))


def test_surroundings_of_a_module(both, tmp_path):
    write(tmp_path, "pack/__init__.py", "")
    write(tmp_path, "pack/tool.py", SURROUNDINGS)
    same(*both("-m", "pack.tool", "-x", stdin="typed\n"))


def test_surroundings_of_a_package_and_a_directory(both, tmp_path):
    write(tmp_path, "pack/__init__.py", "")
    write(tmp_path, "pack/__main__.py", SURROUNDINGS)
    same(*both("-m", "pack", stdin="typed\n"))
    same(*both("pack", "1", stdin="typed\n"))


def test_a_zip_file(both, tmp_path):
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("__main__.py", "import sys, other\nprint(sys.argv, other.NAME)\n")
        archive.writestr("other.py", "NAME = __name__\n")
    same(*both("app.zip", "1"))


@pytest.mark.parametrize(
    "end",
    [
        "sys.exit()",
        "sys.exit(0)",
        "sys.exit(7)",
        "sys.exit('a message')",
        "sys.exit(None)",
        "raise SystemExit((1, 2))",
        "raise ValueError('no')",
        "1 / 0",
        "f(3)",
        "import broken",
        "raise ExceptionGroup('both', [ValueError(1), TypeError(2)])",
    ],
)
def test_every_way_to_end(both, tmp_path, end):
    write(tmp_path, "broken.py", "def g(:\n")
    script = f"""
        import sys
        def f(n):
            try:
                return f(n - 1) if n else [][n]
            except IndexError as error:
                raise KeyError(n) from error
        print("before")
        {end}
    """
    write(tmp_path, "script.py", script)
    same(*both("script.py"))


def test_tracebacks_of_a_module(both, tmp_path):
    write(tmp_path, "tool.py", "def f():\n    raise OSError('gone')\nf()\n")
    same(*both("-m", "tool"))


def test_a_syntax_error(both, tmp_path):
    write(tmp_path, "script.py", "print('never')\nx = = 1\n")
    same(*both("script.py"))


def test_the_excepthook_of_the_script(both, tmp_path):
    script = """
        import sys, traceback
        def hook(kind, error, trace):
            print("hook", kind.__name__, error, [f.name for f in traceback.extract_tb(trace)])
        sys.excepthook = hook
        raise LookupError("told")
    """
    write(tmp_path, "script.py", script)
    same(*both("script.py"))


def test_exit_handlers_and_threads(both, tmp_path):
    write(tmp_path, "beside.py", "NAME = 'beside'")
    script = """
        import atexit, os, sys, threading, time
        os.makedirs("inner", exist_ok=True)
        os.chdir("inner")
        def at_exit():
            import beside
            print("exit", beside.NAME, os.path.basename(os.getcwd()), flush=True)
        atexit.register(at_exit)
        def work():
            time.sleep(0.2)
            print("thread", flush=True)
        threading.Thread(target=work).start()
        print("end", flush=True)
    """
    write(tmp_path, "script.py", script)
    same(*both("script.py"))


def test_spawned_workers_and_pickled_classes(both, tmp_path):
    script = """
        import multiprocessing, pickle
        class Point:
            def __init__(self, x):
                self.x = x
            def __eq__(self, other):
                return self.x == other.x
        def square(point):
            return Point(point.x ** 2)
        print(f"imported as {__name__}\\n", end="", flush=True)
        if __name__ == "__main__":
            assert pickle.loads(pickle.dumps(Point(3))) == Point(3)
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                print([p.x for p in pool.map(square, [Point(n) for n in range(4)], chunksize=2)])
    """
    write(tmp_path, "script.py", script)
    plain, ours = both("script.py")
    # The pool may end before its second worker has said that it was imported.
    assert set(ours.stdout.splitlines()) == set(plain.stdout.splitlines())
    assert "imported as __mp_main__" in ours.stdout
    assert (ours.stderr, ours.returncode) == (plain.stderr, plain.returncode) == ("", 0)


def test_a_fork_that_returns_prints_once(both, tmp_path):
    script = """
        import os
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            print("child ended with", os.waitstatus_to_exitcode(status))
        else:
            os._exit(5)
    """
    write(tmp_path, "script.py", script)
    same(*both("script.py"))


def test_modules_of_the_user_named_like_our_source_roots(both, tmp_path):
    write(tmp_path, "profiler.py", "NAME = 'my profiler'")
    write(tmp_path, "kernels/__init__.py", "NAME = 'my kernels'")
    write(tmp_path, "script.py", "import profiler, kernels\nprint(profiler.NAME, kernels.NAME)\n")
    same(*both("script.py"))


def test_an_interrupt_gives_the_status_that_a_shell_tells(both, tmp_path):
    write(tmp_path, "script.py", "print('on', flush=True)\nraise KeyboardInterrupt\n")
    plain, ours = both("script.py")
    assert ours.stderr == plain.stderr
    assert ours.returncode == 130


def test_a_module_of_the_user_with_our_name_is_told(tmp_path):
    script = write(tmp_path, "script.py", "import goodput")
    target = ScriptTarget(str(script), None)
    assert clash(target) == ""
    write(tmp_path, "goodput.py", "NAME = 'mine'")
    assert "bears the profiler's own name" in clash(target)


def test_what_does_not_exist_is_told_before_anything_runs(tmp_path):
    with pytest.raises(UsageError, match=r"no such script: .*nowhere\.py"):
        check(ScriptTarget(str(tmp_path / "nowhere.py"), None))
    with pytest.raises(UsageError, match="no module named no_such_module_here"):
        check(ScriptTarget(None, "no_such_module_here.inner"))
    check(ScriptTarget(None, "json.tool"))
    check(ScriptTarget(str(tmp_path), None))


def test_the_title_is_the_command_as_typed():
    assert ScriptTarget("a.py", None, ("--lr", "1")).title == "a.py --lr 1"
    assert ScriptTarget(None, "pack.tool", ("x",)).title == "-m pack.tool x"
