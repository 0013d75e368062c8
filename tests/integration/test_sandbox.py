"""What a hostile model can do: nothing but read its package and its study, and write into its own folder."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from osler.infer.child import InferenceProcess, Start
from osler.infer.messages import Reading
from osler.infer.sandbox import SandboxReport
from osler.infer.spool import Spool
from osler.testing import studies
from osler.testing.models import install

PLUGINS = Path(__file__).parent / "plugins"


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """A data folder as the hub has it: a key, a database, and the spools inside it."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "master.key").write_bytes(b"secret")
    (folder / "osler.db").write_bytes(b"SQLite format 3")
    return folder


@pytest.fixture
def models(tmp_path: Path, data_folder: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(PLUGINS / "hostile.py", folder)
    (folder / "secret").symlink_to(data_folder / "master.key")
    return install(folder, {"hostile": "hostile:hostile"})


def test_a_hostile_model_gets_nowhere(data_folder, models, monkeypatch):
    monkeypatch.setenv("OSLER_MASTER_KEY", "00" * 32)
    other = Spool(data_folder / "spool")  # of a model that works beside it
    theirs = studies.study(other.study_folder("job"), studies.image())
    (models / "other").symlink_to(other.path)
    spool = Spool(data_folder / "spool")
    start = Start("hostile", folders=(str(models),), protected=(str(data_folder),), memory_mb=3000)
    with InferenceProcess(start, spool) as process:
        assert process.hello.sandbox.missing == ()
        assert (spool.outbox / "home").read_text() == "writing into out is allowed"
        study = studies.study(spool.study_folder("job"), studies.image())
        before = study.instances[0].path.read_bytes()
        (answer,) = process.read([Reading("job", study)])
        (result,) = answer.result.results
        tried, environment, limits, interfaces, *done = result.outside_intended_use
        assert done == []
        assert int(tried.removeprefix("tried ")) >= 55
        assert interfaces == "interfaces ['lo']"
        found = ast.literal_eval(limits.removeprefix("limits "))
        assert found["AS"] == 3000 * 2**20
        assert found["CORE"] == 0
        assert found["FSIZE"] == 256 * 2**20
        assert found["NPROC"] <= 512
        assert "OSLER" not in environment
        assert study.instances[0].path.read_bytes() == before
        assert study.instances[0].path.stat().st_mode & 0o777 != 0o777
    assert theirs.instances[0].path.exists()
    assert list(other.outbox.iterdir()) == []
    spool.close()
    other.close()
    assert sorted(path.name for path in data_folder.iterdir()) == ["master.key", "osler.db", "spool"]
    assert not Path("/tmp/osler-hostile").exists()


def test_a_data_folder_that_can_still_be_read_is_reported(tmp_path, models):
    """Landlock allows the model's own folder: data that somebody puts there is not protected, and that is said."""
    inside = models / "data"
    inside.mkdir()
    spool = Spool(tmp_path / "spool")
    with InferenceProcess(Start("hostile", folders=(str(models),), protected=(str(inside),)), spool) as process:
        report = process.hello.sandbox
        assert not report.complete
        assert report.missing == (f"the folder {inside} is still readable",)
    spool.close()


def test_a_report_without_gaps_is_complete():
    assert SandboxReport(("seccomp",), ()).complete
    assert not SandboxReport((), ("seccomp: refused",)).complete


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_the_boundary_holds_for_an_ordinary_user(tmp_path_factory, need):
    """The hub should not run as root; the system's own Python does for a user who may not read this one."""
    python, setpriv = need("/usr/bin/python3"), need("setpriv")
    folder = tmp_path_factory.mktemp("user")
    for parent in [folder, *folder.parents]:
        if not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    folder.chmod(0o755)
    package = folder / "osler" / "infer"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    source = Path(sys.modules["osler.infer.sandbox"].__file__).parent
    for name in ("sandbox.py", "landlock.py", "seccomp.py"):
        shutil.copy(source / name, package)
    spool = folder / "spool"
    (spool / "out").mkdir(parents=True)
    secret = folder / "secret"
    secret.write_text("x")
    for path in (spool, spool / "out"):
        shutil.chown(path, user="nobody")
    code = (
        "import socket, sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from osler.infer.sandbox import apply; sys.path.pop(0)\n"
        "spool, secret = map(Path, sys.argv[2:])\n"
        "secret.read_text()\n"
        "report = apply(readable=[], spool=spool, memory_mb=1024, protected=[secret])\n"
        "(spool / 'out' / 'made').write_text('x')\n"
        "try:\n    socket.socket()\n"
        "except PermissionError:\n    print(report.missing)\n"
    )
    # The folder of the package is not given, so that the process cannot read it after the boundary is drawn.
    done = subprocess.run(
        [setpriv, "--reuid=nobody", "--clear-groups", python, "-I", "-B", "-c", code, folder, spool, secret],
        capture_output=True,
        text=True,
        cwd="/",
        timeout=30,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "()"), done.stderr
    assert (spool / "out" / "made").stat().st_uid == 65534
