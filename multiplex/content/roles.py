"""Roles: what an agent is told for an act. A Markdown file with front matter and a Jinja body.

The front matter declares the inputs; loading fails if the body uses others, or leaves one unused.
Whatever is put in is data: angle brackets in it are replaced, so that it cannot close the
delimiters of the role that quotes it. A body has no logic beyond for and if, and calls nothing:
the objects that it is given have methods that read files.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import SandboxedEnvironment
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from multiplex.content.files import Text, check_name, model_from_yaml, named_files, read_text, shipped
from multiplex.errors import ContentError, near_miss

__all__ = ["Role", "load_role", "load_roles", "read_role"]

_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n(.*)\Z", re.DOTALL)


class _Head(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, AfterValidator(check_name)]
    summary: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400)]
    inputs: tuple[str, ...] = ()
    temperature: float = Field(default=0.7, ge=0, le=2)
    max_tokens: int = Field(default=1024, ge=1, le=32768)


@dataclass(frozen=True, slots=True)
class Role:
    """What an agent is told for one act, ready to be rendered."""

    agent: str
    name: str
    summary: str
    inputs: tuple[str, ...]
    temperature: float
    max_tokens: int
    body: str
    sha256: str

    def render(self, **inputs: Any) -> str:
        """Render the body with exactly the declared inputs.

        Raises:
            ContentError: an input is missing, or the body fails on what it was given.
        """
        missing = set(self.inputs) - set(inputs)
        if missing:
            names = ", ".join(sorted(missing))
            raise ContentError(f"agents/{self.agent}/{self.name}.md: is not given {names}")
        try:
            return _template(self.body).render({name: inputs[name] for name in self.inputs}).strip()
        except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ContentError(f"agents/{self.agent}/{self.name}.md: {error}") from error


def load_roles(folder: Traversable | Path | None = None) -> dict[tuple[str, str], Role]:
    """Load every role below a folder (the shipped one by default), by (agent, name).

    Raises:
        ContentError: there is no such folder, or a file in it is wrong.
    """
    if folder is None:
        return dict(_shipped_roles())
    if not folder.is_dir():
        raise ContentError(f"{folder}: no such folder; roles lie in a folder for each agent")
    return _read_roles(folder, "agents")


def load_role(reference: str) -> Role:
    """Load a shipped role by `agent/act`, as in `persona/take_position`."""
    roles = {f"{agent}/{name}": role for (agent, name), role in load_roles().items()}
    if reference not in roles:
        raise ContentError(f"no role named {reference!r}; {near_miss(reference, roles)}")
    return roles[reference]


def read_role(text: Text, *, agent: str, name: str) -> Role:
    """Read one role file.

    Raises:
        ContentError: no front matter, a body that does not parse, or inputs that do not match it.
    """
    match = _FRONT_MATTER.match(text.text.replace("\r\n", "\n"))
    if not match:
        raise ContentError(f"{text.where}: needs front matter between two lines of '---'")
    front = f"\n{match[1]}"  # for the line of dashes, so that line numbers are the file's
    head = model_from_yaml(_Head, Text(where=text.where, text=front, sha256=text.sha256))
    if head.name != name:
        raise ContentError(f"{text.where}: name: is {head.name!r}, but the file is named {name!r}")
    try:
        tree = _ENVIRONMENT.parse(match[2])
        _check_logic(tree, text.where, above=front.count("\n") + 2)
        used = meta.find_undeclared_variables(tree)
    except TemplateSyntaxError as error:
        line = error.lineno + front.count("\n") + 2
        raise ContentError(f"{text.where}: line {line}: {error.message}") from error
    except TemplateError as error:
        raise ContentError(f"{text.where}: {error}") from error
    if undeclared := sorted(used - set(head.inputs)):
        raise ContentError(f"{text.where}: the body uses {undeclared[0]!r}, which `inputs` does not declare")
    if unused := sorted(set(head.inputs) - used):
        raise ContentError(f"{text.where}: inputs: {unused[0]!r} is declared, but the body does not use it")
    return Role(agent=agent, body=match[2], sha256=text.sha256, **head.model_dump())


def _check_logic(tree: nodes.Template, where: str, *, above: int) -> None:
    """Refuse whatever is more than printing, for and if; `above` is how many lines precede the body."""
    for node in tree.find_all((nodes.Stmt, nodes.Call)):
        if not isinstance(node, nodes.Output | nodes.For | nodes.If):
            line = f"line {node.lineno + above}"
            what = "a call" if isinstance(node, nodes.Call) else f"{type(node).__name__.lower()!r}"
            raise ContentError(
                f"{where}: {line}: the body may print inputs, with for and if, but holds {what}"
            )


@cache
def _shipped_roles() -> dict[tuple[str, str], Role]:
    return _read_roles(shipped("agents"), "agents")


def _read_roles(folder: Traversable | Path, where: str) -> dict[tuple[str, str], Role]:
    roles = {}
    for agent in sorted(folder.iterdir(), key=lambda e: e.name):
        if agent.is_dir() and agent.name[:1] not in {".", "_"}:
            for name, file in named_files(agent, ".md").items():
                text = read_text(file, where=f"{where}/{agent.name}/{file.name}")
                roles[agent.name, name] = read_role(text, agent=agent.name, name=name)
    return roles


def _as_data(value: Any) -> str:
    return str(value).replace("<", "‹").replace(">", "›")  # whatever it is, text is what it becomes


_ENVIRONMENT = SandboxedEnvironment(
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,
    finalize=_as_data,
)
_ENVIRONMENT.globals.clear()  # a body sees its inputs, and nothing that Jinja would add to them


@cache
def _template(body: str) -> Template:
    return _ENVIRONMENT.from_string(body)
