from __future__ import annotations

import json

import pytest

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.printing import json_text, one_line, print_table, prose

ESCAPE = "\x1b[2J"


def test_a_log_cannot_drive_the_terminal() -> None:
    assert "\x1b" not in one_line(f"a{ESCAPE}b")
    assert one_line("a\nb\r\nc") == "a b c"
    assert one_line("[bold]Käse[/bold]") == "[bold]Käse[/bold]"


def test_prose_keeps_its_lines_only() -> None:
    assert prose(f"a\n\tb{ESCAPE}") == "a\n\tb\N{REPLACEMENT CHARACTER}[2J"


def test_a_table_in_a_pipe_has_whole_names_and_no_trailing_blanks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    long_name = "users/alice/keys/" + "x" * 200

    print_table(("name", "state"), [(long_name, "active"), ("short", "")])

    header, first, second = capsys.readouterr().out.splitlines()
    assert first == f"{long_name}  active"
    assert header.split() == ["NAME", "STATE"]
    assert second.split() == ["short", "-"]


def test_numbers_in_a_pipe_end_at_one_place_under_their_column(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [("a", "1,000", "x"), ("total", "7", "y")]

    print_table(("of", "requests", "note"), rows, numbers=("requests",))

    assert capsys.readouterr().out.splitlines() == [
        "OF     REQUESTS  NOTE",
        "a         1,000  x",
        "total         7  y",
    ]


def test_an_error_is_one_line_with_its_origin_and_one_of_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = CommandError(
        f"It broke{ESCAPE}.", ExitCode.FAULT, hint="Mend it.", reason="BROKEN", request_id="r-1"
    )

    error.show()

    told, hint = capsys.readouterr().err.splitlines()
    assert told.startswith("error: It broke")
    assert told.endswith("(BROKEN, request id r-1)")
    assert "\x1b" not in told
    assert hint == "  Mend it."


@pytest.mark.parametrize(
    "text", ["\x1b[31m", "\x9b31m", "\x7f", "\u202e", "\U000e0001", "\xfc \u20ac"]
)
def test_json_holds_no_control_characters_and_the_same_text(text: str) -> None:
    for indent in (None, 2):
        document = json_text({"name": text}, indent=indent)

        assert all(c.isprintable() or c == "\n" for c in document)
        assert json.loads(document) == {"name": text}
    assert json_text("\xfc \u20ac") == '"\xfc \u20ac"'
