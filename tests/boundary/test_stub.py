"""The stub of the compiled core says what the extension has, and nothing else."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import corten
from corten import _core

STUB = Path(corten.__file__).with_name("_core.pyi")
# What every class has, or what Python makes of other methods.
INHERITED = set(dir(object)) | {
    "__module__", "__doc__", "__class_getitem__", "__weakref__", "__traverse__", "__clear__", "__reversed__",
}  # fmt: skip


def is_overload(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(decorator, ast.Name) and decorator.id == "overload" for decorator in function.decorator_list)


def functions_of(body: list[ast.stmt]) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions by name; of one with overloads the last."""
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


TREE = ast.parse(STUB.read_text(encoding="utf-8"))
CLASSES = {node.name: node for node in TREE.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")}
FUNCTIONS = functions_of(TREE.body)


def members_of_stub(name: str) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef | None]:
    members: dict[str, ast.FunctionDef | ast.AsyncFunctionDef | None] = dict(functions_of(CLASSES[name].body))
    for node in CLASSES[name].body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            members[node.target.id] = None
    return members


def parameters_of_stub(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[tuple[str, str]]:
    """Name and kind of each parameter; whether a special method's are positional only is of no consequence."""
    arguments = function.args
    kinds = [(a.arg, "positional") for a in (*arguments.posonlyargs, *arguments.args)]
    kinds += [(arguments.vararg.arg, "*")] if arguments.vararg else []
    kinds += [(a.arg, "keyword") for a in arguments.kwonlyargs]
    kinds += [(arguments.kwarg.arg, "**")] if arguments.kwarg else []
    return [(name, kind) for name, kind in kinds if name not in {"self", "cls"}]


def parameters_of_extension(function: object) -> list[tuple[str, str]] | None:
    try:
        signature = inspect.signature(function)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    kinds = {
        inspect.Parameter.POSITIONAL_ONLY: "positional",
        inspect.Parameter.POSITIONAL_OR_KEYWORD: "positional",
        inspect.Parameter.VAR_POSITIONAL: "*",
        inspect.Parameter.KEYWORD_ONLY: "keyword",
        inspect.Parameter.VAR_KEYWORD: "**",
    }
    return [(p.name, kinds[p.kind]) for p in signature.parameters.values() if p.name not in {"self", "cls"}]


def test_stub_and_extension_have_the_same_classes_and_functions() -> None:
    public = {name: member for name, member in vars(_core).items() if not name.startswith("_")}
    assert set(CLASSES) == {name for name, member in public.items() if inspect.isclass(member)}
    assert set(FUNCTIONS) == {name for name, member in public.items() if inspect.isroutine(member)}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_has_the_parameters_of_the_stub(name: str) -> None:
    assert parameters_of_stub(FUNCTIONS[name]) == parameters_of_extension(getattr(_core, name))


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_has_the_members_of_the_stub(name: str) -> None:
    made = {member for member in vars(getattr(_core, name)) if member not in INHERITED}
    stub = set(members_of_stub(name)) - INHERITED
    assert stub == made, f"only in the stub: {stub - made}; only in the extension: {made - stub}"


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_method_has_the_parameters_of_the_stub(name: str) -> None:
    made = getattr(_core, name)
    for method, function in members_of_stub(name).items():
        if function is None or any(ast.unparse(decorator) == "property" for decorator in function.decorator_list):
            member = vars(made)[method]
            assert inspect.isgetsetdescriptor(member) or not inspect.isroutine(member), f"{name}.{method}"
            continue
        if method in {"__new__", "__init__"}:
            extension = parameters_of_extension(made)
        elif method.startswith("__"):
            continue  # slots: Python fixes their parameters and calls them "value", "key", …
        else:
            extension = parameters_of_extension(getattr(made, method))
        if is_overload(function):
            overloads = [node for node in ast.walk(CLASSES[name]) if getattr(node, "name", "") == method]
            assert all(accepts(extension, overload) for overload in overloads), f"{name}.{method}"
        else:
            assert parameters_of_stub(function) == extension, f"{name}.{method}"


def accepts(extension: list[tuple[str, str]] | None, overload: ast.AST) -> bool:
    """Whether the extension takes what one overload takes: by these names, or into its ``*arguments``."""
    assert extension is not None
    assert isinstance(overload, ast.FunctionDef)
    gathers = any(kind == "*" for _, kind in extension)
    only_by_place = {argument.arg for argument in overload.args.posonlyargs}
    return all(
        parameter in extension or (gathers and parameter[0] in only_by_place)
        for parameter in parameters_of_stub(overload)
    )


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_that_can_be_made_says_how_in_the_stub(name: str) -> None:
    stub = members_of_stub(name)
    if "__new__" not in stub and "__init__" not in stub:
        with pytest.raises(TypeError, match=r"cannot create|No constructor"):
            getattr(_core, name)()
