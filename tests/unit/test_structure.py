# SPDX-License-Identifier: MIT
"""The house holds: imports go one way, doors are where they are said to be, rooms stay small."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import failhook

PACKAGE = Path(failhook.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
# Top to bottom: a module imports from further down, or from its own package. Those of one line do
# not know each other; what joins them is above. (design.md "Stages"; style.md 5.1)
LAYERS = (
    "__main__ start",
    "cli",
    "testing",
    "serve",
    "recruit",
    "prepare",
    "deliver runner",
    "staff",
    "worker",
    "pipeline",
    "packing",
    "act",
    "changes response",
    "decide",
    "plugins",
    "plan",
    "actions",
    "open_list settle",
    "boot",
    "attribute intake isolate outbox outcomes record setup spool",
    "diagnose",
    "bundle classify collect describe gather queue store",
    "config",
    "formats",
    "answer plugin",
    "action collector",
    "message systemd",
    "values",
    "incident item places redact stream trigger",
    "http_client mask",
    (
        "ascii document files hook journal_lines pattern proc ready safe_open secret trust version "
        "waking"
    ),
)
# `stream` is the half of `proc` for output that is larger than memory: the same rules.
DOORS_TO_CHILDREN = {"proc.py", "stream.py"}
MAX_FILE = 450
MAX_FUNCTION = 60


def _name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), _name(path))


def _imported(tree: ast.Module) -> Iterator[str]:
    """Full names of all that is imported anywhere in a file, also in functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports have their full name"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _room(module: str) -> str:
    """``failhook.store.index`` -> ``store``; what is no module is nobody's room."""
    return module.removeprefix("failhook.").partition(".")[0]


ROOMS = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES} | {
    path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()
}
ROOMS.discard("__init__")
ROOMS.discard(PACKAGE.name)


def _rank(room: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if room in layer.split())


def test_every_room_has_its_place() -> None:
    placed = [room for layer in LAYERS for room in layer.split()]
    assert len(placed) == len(set(placed))
    assert sorted(set(placed) - ROOMS) == []
    assert sorted(ROOMS - set(placed)) == []


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_imports_go_one_way(path: Path) -> None:
    own = _name(path).partition("/")[0].removesuffix(".py")
    for module in _imported(_tree(path)):
        room = _room(module)
        if not module.startswith("failhook.") or room not in ROOMS or room == own:
            continue
        assert _rank(room) > _rank(own), f"{own} must not know {module}"


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_every_file_says_its_licence_and_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# SPDX-License-Identifier: MIT\n")
    docstring = ast.get_docstring(_tree(path))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", "?", "!", ")", ";", ",", ":"))


def test_the_package_itself_imports_nothing() -> None:
    """Every stop of every hooked unit pays for it."""
    assert list(_imported(_tree(PACKAGE / "__init__.py"))) == []


def test_the_hook_imports_what_costs_nothing() -> None:
    tree = _tree(PACKAGE / "hook.py")
    at_start = ast.Module([node for node in tree.body if not isinstance(node, ast.If)], [])
    top = [node for node in at_start.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert set(_imported(ast.Module(top, []))) <= {  # type: ignore[arg-type]
        "__future__",
        "__future__.annotations",
        "os",
        "time",
    }
    later = set(_imported(tree)) - {"os", "time"}
    assert {name for name in later if not name.startswith(("__future__", "collections.abc"))} <= {
        "_json",
        "_json.encode_basestring_ascii",
        "_socket",
        "errno",  # built in; only where it cannot report
    }


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_one_door_to_child_processes(path: Path) -> None:
    banned = {"subprocess", "multiprocessing", "pty", "asyncio"}
    found = {module.partition(".")[0] for module in _imported(_tree(path))} & banned
    assert found <= ({"subprocess"} if path.name in DOORS_TO_CHILDREN else set())
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.system", "os.popen"):
            raise AssertionError(f"{_name(path)}:{node.lineno}: {ast.unparse(node)}")


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_only_the_command_line_prints(path: Path) -> None:
    if _name(path).startswith("cli/"):
        return
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("print", "input", "breakpoint"), f"line {node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_rooms_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            assert length <= MAX_FUNCTION, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", sorted((PACKAGE / "cli").glob("*.py")), ids=_name)
def test_only_the_command_line_exits(path: Path) -> None:
    """And it does so by returning a number: `sys.exit` is for ``__main__``."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Attribute):
            assert ast.unparse(node) not in ("sys.exit", "os._exit"), f"line {node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_dataclasses_say_what_they_are(path: Path) -> None:
    """Of one without a docstring `dataclasses` asks `inspect`: 5 ms of every start (`ready`)."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ClassDef) and "dataclass" in map(_called, node.decorator_list):
            assert ast.get_docstring(node), f"{node.name}, line {node.lineno}"


def _called(decorator: ast.expr) -> str:
    """The name of a decorator, with or without arguments."""
    return ast.unparse(decorator).partition("(")[0].rpartition(".")[2]
