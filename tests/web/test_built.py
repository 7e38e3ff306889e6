"""The page that is committed is the one that its sources build."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

from tests.web.conftest import UI, run_node

DIST = UI.parent / "dist"
SHELL_BYTES = 25 * 1024
FORM_BYTES = 80 * 1024


def _digests(folder: Path) -> dict[str, str]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in names.items()
        if not name.startswith("node_modules/") and name != "built.json"
    }


def test_the_built_page_belongs_to_its_sources() -> None:
    """After a change of pxbox/web/ui: `npm run build` there."""
    built = json.loads((UI / "built.json").read_bytes())
    assert built["sources"] == _digests(UI)
    assert built["page"] == _digests(DIST)


def test_building_again_gives_the_same_bytes(node_modules: Path, tmp_path: Path) -> None:
    vite = [str(node_modules / ".bin" / "vite"), "build", "--outDir", str(tmp_path)]
    run_node(*vite, "--emptyOutDir")
    run_node("node", "client.mjs", str(tmp_path))
    assert _digests(tmp_path) == _digests(DIST)


def test_types_of_the_client_are_those_of_the_contract(tmp_path: Path) -> None:
    target = tmp_path / "types.ts"
    run_node("node", "types.mjs", str(target))
    assert target.read_text() == (UI / "src" / "client" / "types.ts").read_text()


def test_the_page_is_small() -> None:
    """What comes at once, style and all, and the form's chunk, as they travel."""
    sizes = {
        path.name.partition("-")[0]: len(gzip.compress(path.read_bytes(), 9))
        for path in [DIST / "index.html", *(DIST / "assets").iterdir()]
    }
    assert sizes["index.html"] + sizes["index"] + sizes["style"] < SHELL_BYTES
    assert sizes["Form"] < FORM_BYTES


def test_nothing_in_the_page_makes_code_of_text() -> None:
    scripts = "".join(path.read_text() for path in (DIST / "assets").glob("*.js"))
    assert "new Function" not in scripts
    assert "eval(" not in scripts
