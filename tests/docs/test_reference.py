"""The reference says what the code says, and the README's promises hold."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", sorted(generator().PAGES))
def test_generated_page_is_current(page: str) -> None:
    render = generator().PAGES[page]
    assert (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8") == render(), "run: make docs"


def test_every_link_inside_the_docs_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert len(pages) > 10
    assert not broken


def test_every_file_that_developers_md_names_is_there() -> None:
    text = (ROOT / "DEVELOPERS.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:tests|src)/[\w/.]+)`", text)
    named += [f"src/osler/{name}" for name in re.findall(r"`((?:\w+/)+\w+\.py|\w+\.py|\w+/(?:\w+/)*)`", text)
              if not name.startswith(("tests/", "src/"))]  # fmt: skip
    assert len(named) > 15
    assert not [name for name in named if not (ROOT / name).exists()]


def test_no_module_is_longer_than_the_ceiling() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in (ROOT / "src").rglob("*.py")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long


def test_readme_names_the_two_commands_and_the_makefile_has_them() -> None:
    readme, makefile = (ROOT / "README.md").read_text(encoding="utf-8"), (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test"):
        assert f"make {target}" in readme
        assert re.search(rf"^{target}:", makefile, re.M)
