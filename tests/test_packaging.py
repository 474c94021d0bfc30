"""The wheel: what it ships is what the checkout holds, and it works where nothing else of ours is."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONTENT = ("agents", "personas", "graphs", "scenarios")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    [built] = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_ships_the_content_of_the_checkout_and_no_other_top_level_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        shipped = {
            name.removeprefix("multiplex/_content/"): archive.read(name)
            for name in names
            if "_content/" in name
        }
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *CONTENT],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert shipped == {name: (ROOT / name).read_bytes() for name in tracked}
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"multiplex"}
    assert "multiplex/content/neutral.txt" in names
    assert "multiplex/py.typed" in names


@pytest.mark.slow
def test_an_installed_wheel_runs_a_scenario_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    # The dependencies are large: they are taken from where the tests run. Ours comes first on the path.
    purelib = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "venv")}))
    (purelib / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    where = subprocess.run(
        [str(python), "-c", "import multiplex; print(multiplex.__file__)"],
        cwd=tmp_path,
        env=clean,
        check=True,
        capture_output=True,
        text=True,
    )
    assert str(tmp_path) in where.stdout
    command = [
        str(tmp_path / "venv" / "bin" / "multiplex"),
        "run",
        "eldercare",
        "--json",
        "--protocol",
        "uniplex",
    ]
    done = subprocess.run(command, cwd=tmp_path, env=clean, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["answers"]["overton"]
