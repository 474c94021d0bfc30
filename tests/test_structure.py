"""The shape of the package: imports point down, names are told truly, content holds no code."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import multiplex

ROOT = Path(multiplex.__file__).parent
CHECKOUT = ROOT.parent
FILES = sorted(ROOT.rglob("*.py"))
MODULES = {
    ".".join(("multiplex", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in FILES
}
PUBLIC = sorted(
    name
    for name, path in MODULES.items()
    if path.name not in {"__init__.py", "__main__.py"} and not path.name.startswith("_")
)


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Return the names of all modules that a file imports, wherever in it."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def below(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def wrong(part: str, forbidden: tuple[str, ...]) -> list[str]:
    """Return the imports that a part of the package may not have, each with its module."""
    found = []
    for module, path in MODULES.items():
        if below(module, (f"multiplex.{part}",)):
            found += [
                f"{module} imports {name}"
                for name in imports(path)
                if below(name, forbidden) and not below(name, SHARED)
            ]
    return found


def ours(*parts: str) -> tuple[str, ...]:
    return tuple(f"multiplex.{part}" for part in parts)


SHARED = ours("scoring.score")
"""What a score is may be known wherever one is made."""
ABOVE = ours("cli", "api", "report", "server", "dataset")
HEAVY = ("torch", "transformers", "sentence_transformers", "langgraph", "langchain_core", "openai", "vllm")
PURE = (*ours("models", "responders", "deliberation", "content", "acts", "runs", "embedding"), *HEAVY)


@pytest.mark.parametrize(
    ("part", "forbidden"),
    [
        ("deliberation", (*ABOVE, *ours("models", "responders"), "openai", "vllm", "sentence_transformers")),
        ("responders", (*ABOVE, *ours("deliberation", "runs", "scoring", "voting"), *HEAVY)),
        ("models", (*ABOVE, *ours("deliberation", "responders", "acts", "content", "scoring", "runs"))),
        ("acts", (*ABOVE, *ours("deliberation", "responders", "models", "runs", "scoring"), *HEAVY)),
        (
            "content",
            (*ABOVE, *ours("acts", "deliberation", "responders", "models", "runs", "scoring"), *HEAVY),
        ),
        ("moral_graph", (*ABOVE, *PURE, *ours("scoring", "voting"), "pathlib", "os")),
        ("voting", (*ABOVE, *PURE, *ours("scoring", "moral_graph"), "pathlib", "os")),
        ("runs", (*ABOVE, *ours("deliberation", "responders", "models", "content", "acts"), *HEAVY)),
        (
            "report",
            (*ours("cli", "api", "server", "dataset", "deliberation", "responders", "models"), *HEAVY),
        ),
        ("api", ours("cli", "server", "dataset")),
        ("errors", ours("acts", "content", "models")),
    ],
)
def test_imports_point_down(part: str, forbidden: tuple[str, ...]) -> None:
    assert any(below(module, (f"multiplex.{part}",)) for module in MODULES)
    assert wrong(part, forbidden) == []


def test_scores_know_nothing_of_models_graphs_or_content() -> None:
    assert wrong("scoring", (*ABOVE, *PURE)) == []
    assert below("multiplex.content.personas", PURE)
    assert below("multiplex.content.passages", PURE)


def test_nothing_but_the_launcher_imports_the_command_line() -> None:
    outside = [name for name in MODULES if not below(name, ours("cli", "__main__"))]
    assert [name for name in outside if any(below(i, ours("cli")) for i in imports(MODULES[name]))] == []


def test_langgraph_is_imported_by_the_builder_and_its_checkpoints_alone() -> None:
    users = {m for m, path in MODULES.items() if any(below(i, ("langgraph",)) for i in imports(path))}
    assert users == {"multiplex.deliberation.build", "multiplex.deliberation.checkpoints"}


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    parts = [
        "import multiplex; multiplex.__all__; dir(multiplex)",
        "from multiplex import Persona, Scenario, load_scenario, seat; seat('civilizations')",
        "from multiplex import load_run, Scripted, Served, ContentError; Served('x', base_url='http://h/v1')",
        "import multiplex.cli",
    ]
    tell = f"import sys; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    program = "\n".join(line for part in parts for line in (part, tell))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=CHECKOUT)
    assert (done.stdout, done.stderr) == ("[]\n" * len(parts), "")


def test_every_public_name_of_the_package_can_be_imported() -> None:
    assert multiplex.__all__ == sorted(multiplex.__all__)
    assert 10 <= len(multiplex.__all__) <= 40
    for name in multiplex.__all__:
        assert getattr(multiplex, name).__doc__, name
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        multiplex.nonsense  # noqa: B018


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_module_says_truly_what_is_public_in_it(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "a module says what it is"
    module = import_module(name)
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        assert hasattr(module, public), public
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and "app.command" not in "".join(map(ast.unparse, node.decorator_list))
    }
    assert defined <= set(module.__all__)


@pytest.mark.parametrize("folder", ["agents", "personas", "graphs", "scenarios"])
def test_content_holds_no_code(folder: str) -> None:
    files = [path for path in (CHECKOUT / folder).rglob("*") if path.is_file()]
    assert files
    allowed = {".md"} if folder == "agents" else {".yaml", ".md"}
    assert [path for path in files if path.suffix not in allowed] == []
