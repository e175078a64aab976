"""What a parser can tell of a page's accessibility (WCAG 2.2: 1.1.1, 1.3.1, 2.4.1, 2.4.2, 3.1.1, 3.3.1, 4.1.2)."""

from __future__ import annotations

from tests.control_plane.pages.browsing import Node

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
FIELDS = ("input", "select", "textarea")


def faults(tree: Node) -> list[str]:
    """All that is wrong, in words; nothing where all is well."""
    return [*_page(tree), *_headings(tree), *_ids(tree), *_fields(tree), *_names(tree)]


def _page(tree: Node) -> list[str]:
    found = []
    [html] = tree.all("html")
    if not html.attrs.get("lang"):
        found.append("no language")
    if len(tree.all("title")) != 1 or not tree.all("title")[0].text:
        found.append("no title")
    if len(tree.all("main")) != 1:
        found.append("not one main part")
    links = tree.all("a")
    if not links or links[0].attrs.get("href") != f"#{tree.all('main')[0].attrs.get('id')}":
        found.append("the first link does not lead to the content")
    unnamed = [node for node in tree.all("nav") if not node.attrs.get("aria-label")]
    if unnamed and len(tree.all("nav")) > 1:
        found.append("a menu without a name beside others")
    viewport = [node.attrs for node in tree.all("meta") if node.attrs.get("name") == "viewport"]
    if not viewport or "maximum-scale" in viewport[0]["content"] or "user-scalable" in viewport[0]["content"]:
        found.append("the page cannot be enlarged")
    return found


def _headings(tree: Node) -> list[str]:
    found, before = [], 0
    if len(tree.all("h1")) != 1:
        found.append(f"{len(tree.all('h1'))} headings of the first level")
    for node in tree.all(*HEADINGS):
        level = int(node.tag[1])
        if level > before + 1:
            found.append(f"{node.tag} {node.text!r} after a heading of level {before}")
        if not node.text:
            found.append("a heading without words")
        before = level
    return found


def _ids(tree: Node) -> list[str]:
    names = [node.attrs["id"] for node in tree.all() if "id" in node.attrs]
    found = [f"two elements are {name!r}" for name in set(names) if names.count(name) > 1]
    for node in tree.all():
        for attribute in ("aria-describedby", "aria-labelledby", "for"):
            for name in node.attrs.get(attribute, "").split():
                if name not in names:
                    found.append(f"{attribute} names {name!r}, which is not there")
        if node.attrs.get("href", "").startswith("#") and node.attrs["href"][1:] not in names:
            found.append(f"a link to {node.attrs['href']}, which is not there")
    return found


def _fields(tree: Node) -> list[str]:
    found = []
    labels = {node.attrs.get("for"): node.text for node in tree.all("label")}
    for node in tree.all(*FIELDS):
        name = node.attrs.get("name", "?")
        if node.attrs.get("type") == "hidden":
            continue
        if not labels.get(node.attrs.get("id")) and not node.attrs.get("aria-label"):
            found.append(f"the field {name!r} has no label")
        described = node.attrs.get("aria-describedby", "")
        if node.attrs.get("aria-invalid") == "true" and "-error" not in described:
            found.append(f"the field {name!r} is wrong and nothing says why")
        if node.attrs.get("tabindex", "0") not in ("0", "-1"):
            found.append(f"the field {name!r} changes the order of focus")
    for node in tree.all("fieldset"):
        if not node.all("legend"):
            found.append("a group of fields without a name")
    return found


def _names(tree: Node) -> list[str]:
    found = []
    for node in tree.all("a", "button", "summary"):
        pictures = "".join(picture.attrs.get("alt", "") for picture in node.all("img"))
        if not node.text and not node.attrs.get("aria-label") and not pictures:
            found.append(f"a {node.tag} without words")
    found += ["a picture without words for it" for node in tree.all("img") if "alt" not in node.attrs]
    found += ["a table without headings" for node in tree.all("table") if not node.all("th")]
    for form in tree.all("form"):
        if not form.all("button"):
            found.append("a form without a button")
    names = [node.attrs.get("aria-label", node.text) for node in tree.all("button")]
    found += [f"two buttons are called {name!r}" for name in set(names) if names.count(name) > 1]
    return found
