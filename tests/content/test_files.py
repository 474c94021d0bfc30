"""Finding and reading content files, and saying what is wrong with them."""

import hashlib
import io
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml as pyyaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, StrictInt

from multiplex.content.files import (
    KINDS,
    Text,
    _loaded,
    _StrictLoader,
    check_name,
    is_path,
    model_from_yaml,
    named_files,
    parse_yaml,
    read_path,
    read_text,
    shipped,
)
from multiplex.errors import ContentError


class Leaf(BaseModel):
    """A part of a content file."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, Field(min_length=1, max_length=8)]
    colour: Literal["red", "green"] = "red"


class Tree(BaseModel):
    """A content file with a bit of everything."""

    model_config = ConfigDict(extra="forbid")

    name: str
    height: StrictInt = 1
    leaves: tuple[Leaf, ...] = ()
    either: str | tuple[str | Leaf, ...] = ""


def complaint(yaml: str) -> str:
    with pytest.raises(ContentError) as caught:
        model_from_yaml(Tree, Text(where="tree.yaml", text=yaml, sha256=""))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def refusal(path: Path) -> str:
    with pytest.raises(ContentError) as caught:
        read_path(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_is_read_with_where_it_lies_and_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "tree.yaml"
    path.write_bytes(b"name: \xc3\xa9bano\n")
    text = read_path(path)
    assert text == Text(str(path), "name: ébano\n", hashlib.sha256(path.read_bytes()).hexdigest())


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "tree.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: oak\n")
    assert parse_yaml(read_path(path)) == {"name": "oak"}


def test_a_missing_file_is_told_with_the_near_miss(tmp_path: Path) -> None:
    (tmp_path / "tree.yaml").touch()
    path = tmp_path / "treee.yaml"
    assert refusal(path) == f"{path}: no such file; did you mean 'tree.yaml'?"


def test_a_missing_file_in_a_missing_folder_is_told_plainly(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "tree.yaml"
    assert refusal(path) == f"{path}: no such file"


def test_a_link_that_leads_nowhere_is_no_near_miss_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "tree.yaml"
    path.symlink_to(tmp_path / "felled.yaml")
    assert refusal(path) == f"{path}: no such file"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: is a folder; name a file in it"


def test_a_name_too_long_for_the_file_system_is_told(tmp_path: Path) -> None:
    assert refusal(tmp_path / ("a" * 300)).endswith(": cannot be read: File name too long")


def test_a_null_in_a_path_is_told(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a\0b.yaml").endswith("no such file")


def test_a_file_of_one_megabyte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tree.yaml"
    path.write_bytes(b"name: oak\n# " + b"x" * 1024**2)
    wanted = "is larger than 512 KiB, the most a content file may hold; shorten it"
    assert refusal(path) == f"{path}: {wanted}"


def test_a_file_of_just_the_allowed_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tree.yaml"
    path.write_bytes(b"x" * 512 * 1024)
    assert len(read_path(path).text) == 512 * 1024


def test_text_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "tree.yaml"
    path.write_bytes("name: oak\ntitle: Séance\n".encode("latin-1"))
    assert refusal(path) == f"{path}: line 2: is not UTF-8 text; save it as UTF-8"


def test_a_file_that_vanishes_is_told(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match=r"^trees/oak\.yaml: cannot be read: No such file or directory$"):
        read_text(tmp_path / "oak.yaml", where="trees/oak.yaml")


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        (
            "name: [oak\nheight: 2\n",
            "line 2, column 7: broken YAML: while parsing a flow sequence, expected ',' or ']', but got ':'",
        ),
        ("name: a: b\n", "line 1, column 8: broken YAML: mapping values are not allowed here"),
        (
            "\tname: oak\n",
            "line 1, column 1: broken YAML: while scanning for the next token, "
            "found character '\\t' that cannot start any token",
        ),
        (
            "name: 'oak\n",
            "line 2, column 1: broken YAML: while scanning a quoted scalar, found unexpected end of stream",
        ),
        (
            "name: oak\n---\nname: elm\n",
            "line 2, column 1: broken YAML: expected a single document in the stream, "
            "but found another document",
        ),
        ("name: oak\nname: elm\n", "line 2, column 1: broken YAML: the key 'name' stands twice"),
        (
            "name: oak\nleaves:\n  - key: a\n    key: b\n",
            "line 4, column 5: broken YAML: the key 'key' stands twice",
        ),
        ("name: oak\n1: b\n", "line 2, column 1: broken YAML: the key 1 needs to be text"),
        ("name: oak\nyes: b\n", "line 2, column 1: broken YAML: the key True needs to be text"),
        ("? [name]\n: oak\n", "line 1, column 3: broken YAML: the key ['name'] needs to be text"),
        (
            "name: &a oak\n",
            "line 1, column 7: broken YAML: anchors and aliases are not used in content files",
        ),
        ("name: *a\n", "line 1, column 7: broken YAML: anchors and aliases are not used in content files"),
        (
            "name: oak\n<<: {height: 2}\n",
            "line 2, column 1: broken YAML: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:merge'",
        ),
        (
            "name: !!python/object/apply:os.system [ls]\n",
            "line 1, column 7: broken YAML: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object/apply:os.system'",
        ),
        (
            "name: oak\ntitle: \x00\n",
            "line 2, column 8: broken YAML: a control character, U+0000; take it out",
        ),
        ("name: " + "[" * 1200, "broken YAML: nested too deeply"),
        ("", "needs to be a YAML mapping (key: value), not an empty file"),
        ("# nothing\n", "needs to be a YAML mapping (key: value), not an empty file"),
        ("- oak\n", "needs to be a YAML mapping (key: value), not a list"),
        ("just words\n", "needs to be a YAML mapping (key: value), not plain text"),
        ("42\n", "needs to be a YAML mapping (key: value), not a int"),
    ],
)
def test_yaml_that_is_broken_is_told_by_line_and_column(yaml: str, said: str) -> None:
    assert complaint(yaml) == f"tree.yaml: {said}"


def test_a_bomb_of_aliases_is_refused_at_its_first_anchor() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)
    )
    assert complaint(bomb).startswith("tree.yaml: line 1, column 4: broken YAML: anchors")


def test_what_looks_like_a_date_is_text() -> None:
    assert parse_yaml(Text("tree.yaml", "name: 1948-12-10\nlocus: 2024-13-45\n", "")) == {
        "name": "1948-12-10",
        "locus": "2024-13-45",
    }


KEY = "unknown key; did you mean 'key'?"


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("height: 2\n", "name: is missing"),
        ("name: oak\nheigth: 2\n", "heigth: unknown key; did you mean 'height'?"),
        ("name: oak\nstr: 2\n", "str: unknown key; known: either, height, leaves, name"),
        ("name: oak\nleaves: [{kei: a}]\n", f"leaves[0].key: is missing; leaves[0].kei: {KEY}"),
        ("name: 5\n", "name: needs to be text"),
        ("name: yes\n", "name: needs to be text; put it in quotes"),
        ("name: oak\neither: no\n", "either: needs to be text or a list"),
        ("name:\n", "name: needs to be text"),
        ("name: oak\nheight: tall\n", "height: needs to be a whole number"),
        ("name: oak\nleaves: red\n", "leaves: needs to be a list"),
        ("name: oak\nleaves: [red]\n", "leaves[0]: needs to be a mapping (key: value)"),
        ("name: oak\nleaves: [{key: ''}]\n", "leaves[0].key: is empty"),
        (
            "name: oak\nleaves: [{key: much too long}]\n",
            "leaves[0].key: String should have at most 8 characters",
        ),
        (
            "name: oak\nleaves: [{key: a, colour: gren}]\n",
            "leaves[0].colour: 'gren' is not known; did you mean 'green'?",
        ),
        ("name: oak\neither: 5\n", "either: needs to be text or a list"),
        ("name: oak\neither: [5]\n", "either[0]: needs to be text or a mapping (key: value)"),
        ("name: oak\neither: [{kei: a}]\n", f"either[0].key: is missing; either[0].kei: {KEY}"),
        (
            "height: a\nleaves: b\neither: 5\nbark: 1\n",
            "name: is missing; height: needs to be a whole number; leaves: needs to be a list (and 2 more)",
        ),
    ],
)
def test_data_that_does_not_fit_is_told_by_its_key(yaml: str, said: str) -> None:
    assert complaint(yaml) == f"tree.yaml: {said}"


@pytest.mark.parametrize("reference", ["a/b", "a.yaml", "./a", "a\\b", ".."])
def test_what_has_a_slash_or_a_dot_is_a_path(reference: str) -> None:
    assert is_path(reference)


@pytest.mark.parametrize("reference", ["debate", "end_of_life", ""])
def test_a_bare_word_is_no_path(reference: str) -> None:
    assert not is_path(reference)


@pytest.mark.parametrize("name", ["oak", "end_of_life", "2nd", "a" * 60])
def test_a_name_is_made_of_lower_case_letters_digits_and_underscores(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "Oak", "_oak", "end-of-life", "../oak", "oak\n", "chêne", "a" * 61])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(
        ValueError, match="cannot be a name: lower-case letters, digits and underscores, at most 60"
    ):
        check_name(name)


def test_named_files_are_sorted_and_leave_out_hidden_files_and_folders(tmp_path: Path) -> None:
    for name in ("oak.yaml", "elm.yaml", "_draft.yaml", ".hidden.yaml", ".yaml", "notes.txt", "ash.yaml~"):
        (tmp_path / name).touch()
    (tmp_path / "folder.yaml").mkdir()
    assert list(named_files(tmp_path)) == ["elm", "oak"]


@pytest.mark.parametrize("kind", KINDS)
def test_content_of_every_kind_is_shipped(kind: Literal["agents", "personas", "graphs", "scenarios"]) -> None:
    assert shipped(kind).is_dir()


@given(st.text(alphabet="ab:-?!&*#|>[]{}, \n\t\"'%@`~0\u2028\ufeff", max_size=24))
@example("a:\t1")
@example("a: b\t#c")
@example("k: [x?]")
@example("a: |#\n b")
@example("a: !")
@example("? !a\n: 1")
@example("a: 1\na: 2")
@example("<<: {a: 1}")
@example("--- a\n--- b")
def test_the_quick_loader_reads_what_the_slow_one_reads_and_nothing_else(text: str) -> None:
    def slow() -> object:
        try:
            return pyyaml.load(io.StringIO(text), Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
        except (pyyaml.YAMLError, ValueError) as error:
            return type(error)

    try:
        found = _loaded(text)
    except (pyyaml.YAMLError, ValueError) as error:
        found = type(error)
    assert found == slow()
