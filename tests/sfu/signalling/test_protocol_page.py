"""docs/protocol.md is what the classes say."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from sfu import errors
from sfu.signalling import messages, protocol_page


def test_the_page_is_up_to_date_and_check_says_when_not(tmp_path: Path) -> None:
    docs = Path(protocol_page.__file__).parent.parent.parent / "docs" / "protocol.md"
    assert protocol_page.main(["--check"], docs) == 0
    assert protocol_page.main(["--check"], tmp_path / "protocol.md") == 1


def test_every_message_every_field_and_every_code_stands_on_the_page() -> None:
    page = protocol_page.page()
    for kind in (*get_args(messages.FromClient), *get_args(messages.FromServer)):
        assert f"### `{kind.__struct_config__.tag}`" in page
        assert all(f"| `{field}` |" in page for field in kind.__struct_fields__)
    assert all(f"| `{code}` |" in page for code in errors.all_codes())
