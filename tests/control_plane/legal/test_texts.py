"""Versions of legal texts: dated, hashed, found for any date, and never changed."""

from __future__ import annotations

import datetime
import hashlib
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from control_plane.errors import Conflict, Internal, Invalid, NotFound
from control_plane.legal import markdown, shipped, texts
from control_plane.legal.kinds import KINDS, LANGUAGES, language_of
from control_plane.legal.texts import Edition
from control_plane.storage import migrate
from control_plane.storage.store import Store
from tests.control_plane.entries import entry
from tests.control_plane.legal.given import DAY, MOMENT, NOW, accept, edition, publish


def version_at(store: Store, at: datetime.datetime, kind: str = "terms", language: str = "en") -> str:
    return store.read(lambda connection: texts.in_force(connection, kind, language, at)).version


def midnight(day: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.UTC)


def test_the_text_of_any_past_date_is_found(store: Store) -> None:
    publish(store, NOW, edition(version="2019-02-28"), edition(version="2022-12-15"))
    publish(store, NOW + DAY, edition(version="2026-11-20"))
    began = {
        "2019-02-28": midnight("2019-02-28"),
        "2022-12-15": midnight("2022-12-15"),
        "2026-11-20": midnight("2026-11-20"),
    }
    with entry("LEG-01.1"):
        for before, version in zip(list(began), list(began)[1:], strict=False):
            assert version_at(store, began[version] - MOMENT) == before
            assert version_at(store, began[version]) == version
        assert version_at(store, midnight("2099-01-01")) == "2026-11-20"
        with pytest.raises(NotFound):
            version_at(store, began["2019-02-28"] - MOMENT)


def test_a_version_is_never_in_force_before_it_was_published(published: Store) -> None:
    publish(published, NOW, edition(version="2026-10-01"))
    with entry("LEG-01.1"):
        assert version_at(published, midnight("2026-10-15")) == "2022-12-15", "what was shown then stays what was shown"
        assert version_at(published, NOW) == "2026-10-01"


def test_nothing_is_put_in_before_what_is_in_force(published: Store) -> None:
    with pytest.raises(Conflict) as told:
        publish(published, NOW, edition(version="2021-01-01"))
    assert told.value.code == "text_too_old"


def test_the_hash_of_what_was_published_is_stored(published: Store) -> None:
    publish(published, NOW, Edition("terms", "2026-11-02", "en", "# Été  \r\n\r\n## A \r\nB\n\n\n", ("a",)))
    text = published.read(lambda connection: texts.shown(connection, "terms", "2026-11-02", "en"))
    with entry("LEG-01.2"):
        assert text.body == "# Été\n\n## A\nB\n"
        assert text.body_hash == hashlib.sha256("# Été\n\n## A\nB\n".encode()).hexdigest()


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_one_spelling_of_a_text_has_one_hash(body: str) -> None:
    once = markdown.normalised(body)
    assert markdown.normalised(once) == once
    assert markdown.body_hash(body) == markdown.body_hash(once) == hashlib.sha256(once.encode()).hexdigest()


def test_publishing_again_does_nothing_and_a_translation_may_follow(published: Store) -> None:
    assert publish(published, NOW + DAY, *shipped.editions()) == []
    assert publish(published, NOW, edition()) == [("terms", "2026-11-03")]
    assert publish(published, NOW + 5 * DAY, edition(language="fr")) == []
    found = published.read(lambda connection: texts.editions_of(connection, "terms", "2026-11-03"))
    assert found["fr"].in_force_at == found["en"].in_force_at == midnight("2026-11-03")
    assert found["fr"].published_at == NOW + 5 * DAY


def test_two_processes_that_start_at_once_publish_once(store: Store) -> None:
    new: list[list[tuple[str, str]]] = []
    together = threading.Barrier(2)

    def start() -> None:
        together.wait()
        new.append(list(publish(store, NOW, *shipped.editions())))

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, new)) == [0, len(KINDS)]


def test_published_words_do_not_change(published: Store) -> None:
    publish(published, NOW, edition(words="Be kind."))
    with entry("LEG-01.2"), pytest.raises(Conflict) as told:
        publish(published, NOW, edition(words="Be quick."))
    assert told.value.code == "text_published"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE legal_texts SET body = 'x'",
        "DELETE FROM legal_texts",
        "UPDATE legal_acceptances SET version = '2001-01-01'",
    ],
)
def test_the_database_itself_refuses_to_change_them(published: Store, change: str) -> None:
    accept(published, NOW)
    with pytest.raises(sa.exc.DBAPIError, match="stay as they are"):
        published.write(lambda connection: connection.exec_driver_sql(change))


def test_a_text_that_was_changed_behind_our_back_is_not_shown(published: Store) -> None:
    def change(connection: sa.Connection) -> None:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("DROP TRIGGER legal_texts_no_update")
        else:
            connection.exec_driver_sql("DROP TRIGGER legal_texts_no_update ON legal_texts")
        connection.exec_driver_sql("UPDATE legal_texts SET body = replace(body, '30', '3')")

    published.write(change)
    with entry("LEG-01.2"), pytest.raises(Internal) as told:
        version_at(published, NOW)
    assert told.value.code == "text_changed"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (Edition("terms", "2026-02-30", "en", "# A\n", ()), "bad_version"),
        (Edition("terms", "20261103", "en", "# A\n", ()), "bad_version"),
        (Edition("terms", "2026-11-03", "en", "no title\n", ()), "bad_text"),
        (Edition("terms", "2026-11-03", "en", "# A\n\n## B\n", ()), "bad_text"),
        (Edition("terms", "2026-11-03", "en", "# A\n\n## B\n\n## C\n", ("b", "b")), "bad_text"),
        (Edition("terms", "2026-11-03", "en", "# A\n\n## B\n", ('b" onclick="x',)), "bad_text"),
        (Edition("terms", "2026-11-03", "xx", "# A\n", ()), "bad_text"),
        (Edition("terms", "2026-11-03", "pl", "# A\n", ()), "bad_text"),  # not there in English
        (Edition("terms", "2026-11-03", "en", "# A\n" + "a" * 200_000, ()), "bad_text"),
        (Edition("recipes", "2026-11-03", "en", "# A\n", ()), "bad_text"),  # type: ignore[arg-type]
    ],
)
def test_what_is_not_whole_is_not_published(published: Store, wrong: Edition, code: str) -> None:
    before = published.read(texts.all_versions)
    with pytest.raises(Invalid) as told:
        publish(published, NOW, edition(kind="privacy"), wrong)
    assert told.value.code == code
    assert published.read(texts.all_versions) == before, "not even the good one beside it"


def test_html_and_scripts_in_a_text_are_words() -> None:
    body = "# A\n\n<script>x</script> <b>c</b> [d](javascript:alert(1)) ![e](https://example.org/f.png)\n\n## G & <H>\n"
    made = markdown.html(body, ("g",))
    assert "<script" not in made and "<b>" not in made and "<img" not in made and 'href="javascript' not in made
    assert '<h2 id="g">G &amp; &lt;H&gt;</h2>' in made
    assert markdown.chapters(body, ("g",)) == (markdown.Chapter("g", "G & <H>"),)


def test_our_texts_have_their_chapters_and_anchors_in_every_language() -> None:
    figures = {"privacy": 8, "terms": 12, "affiliate": 9}
    found = shipped.editions()
    assert {kind.kind for kind in found} == set(KINDS)
    for text in found:
        chapters = markdown.chapters(text.body, text.anchors)
        assert len(chapters) == figures.get(text.kind, len(chapters))
        assert "laceholder" in text.body or "latzhalter" in text.body or "zastępczy" in text.body
    dates = {text.kind: text.version for text in found}
    assert (dates["privacy"], dates["terms"], dates["affiliate"]) == ("2022-12-15", "2022-12-15", "2017-09-18")


def test_a_translation_with_other_anchors_is_refused(published: Store) -> None:
    publish(published, NOW, edition())
    other = Edition("terms", "2026-11-03", "pl", "# Regulamin\n\n## Zasady\n\nTak.\n", ("zasady",))
    with entry("LEG-13.1"), pytest.raises(Invalid, match="other anchors"):
        publish(published, NOW, other)


def test_a_folder_of_the_operators_own_texts_is_read_alike(tmp_path: Path) -> None:
    folder = tmp_path / "terms" / "2026-12-01"
    folder.mkdir(parents=True)
    (folder / "about.toml").write_text('chapters = ["prices"]\nfees = true\n')
    (folder / "en.md").write_text("# Terms\n\n## Prices\n\nAll is 3.\n")
    assert shipped.editions(tmp_path) == [
        Edition("terms", "2026-12-01", "en", "# Terms\n\n## Prices\n\nAll is 3.\n", ("prices",), names_fees=True)
    ]


@pytest.mark.parametrize(
    ("wish", "ours"),
    [
        ("pl", "pl"),
        ("de-AT", "de"),
        ("br", "pt_BR"),
        ("pt-BR", "pt_BR"),
        ("PT", "pt_BR"),
        ("zh", "en"),
        ("", "en"),
        ("☃", "en"),
    ],
)
def test_a_wish_for_a_language_finds_one_of_ours(wish: str, ours: str) -> None:
    assert language_of(wish) == ours and ours in LANGUAGES


def test_the_schema_goes_down_and_up_again_with_rows_in_it(published: Store) -> None:
    accept(published, NOW)
    migrate.down(published, "0003_accounts")
    with published.engine.connect() as connection:
        left = [name for name in sa.inspect(connection).get_table_names() if name.startswith("legal_")]
    assert left == []
    migrate.up(published)
    publish(published, NOW, *shipped.editions())
    assert version_at(published, NOW) == "2022-12-15"
