"""What the XHTML of a narrative may hold, and what would make it dangerous to show.

References
----------
HL7 FHIR R4 4.0.1, 2.4 Narrative (txt-1, txt-2): the basic formatting of HTML 4.0, chapters 7 to 11 (but section 4 of
chapter 9) and 15, links and images; no head, body, script, form, base, frame, object, and no event attributes.
"""

import html.entities
import re
from typing import Final
from xml.etree import ElementTree

_XHTML: Final = "{http://www.w3.org/1999/xhtml}"
_ELEMENTS: Final = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "address",
        "b",
        "bdo",
        "big",
        "blockquote",
        "br",
        "caption",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "del",
        "dfn",
        "div",
        "dl",
        "dt",
        "em",
        "font",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "ins",
        "kbd",
        "li",
        "ol",
        "p",
        "pre",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "tt",
        "u",
        "ul",
        "var",
    ]
)
_ATTRIBUTES: Final = frozenset(
    [
        "abbr",
        "align",
        "alt",
        "axis",
        "bgcolor",
        "border",
        "cellhalign",
        "cellpadding",
        "cellspacing",
        "cellvalign",
        "char",
        "charoff",
        "charset",
        "cite",
        "class",
        "clear",
        "color",
        "colspan",
        "compact",
        "coords",
        "datetime",
        "dir",
        "face",
        "frame",
        "headers",
        "height",
        "href",
        "hreflang",
        "id",
        "lang",
        "longdesc",
        "name",
        "noshade",
        "nowrap",
        "rel",
        "rev",
        "rowspan",
        "rules",
        "scope",
        "shape",
        "size",
        "span",
        "src",
        "start",
        "style",
        "summary",
        "tabindex",
        "title",
        "type",
        "usemap",
        "valign",
        "value",
        "vspace",
        "hspace",
        "width",
        "{http://www.w3.org/XML/1998/namespace}lang",
    ]
)
_LINKS: Final = frozenset({"href", "src", "cite", "longdesc", "usemap"})
_SCHEMES: Final = frozenset({"http", "https", "mailto", "tel", "data", "urn", "ftp"})
_SCHEME: Final = re.compile(r"([^/?#]*?):")
_STYLE_LOADS: Final = re.compile(r"url\s*\(|expression\s*\(|@import|\\", re.IGNORECASE)
_NAMED: Final = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,31});")
_XML_NAMES: Final = frozenset({"lt", "gt", "amp", "quot", "apos"})
_MAX_DEPTH: Final = 100


def narrative_fault(div: str) -> str | None:
    """Say what is wrong with the ``div`` of a Narrative; None when it is sound.

    Parameters
    ----------
    div : str
        XHTML.

    Returns
    -------
    str or None
        Words without anything of the text.
    """
    if "<!" in div.replace("<!--", "") or "<?" in div:
        return "must not have a document type, an entity or a processing instruction"
    try:
        root = ElementTree.fromstring(_NAMED.sub(_as_number, div))  # noqa: S314  no document type: no entities
    except (ElementTree.ParseError, ValueError):
        return "is not well-formed XHTML"
    if root.tag != f"{_XHTML}div":
        return "must be a div in the namespace of XHTML"
    level, depth, shows = [root], 0, False
    while level:
        depth += 1
        if depth > _MAX_DEPTH:
            return "is nested too deep"
        for element in level:
            fault = _element_fault(element)
            if fault:
                return fault
            shows = shows or element.tag == f"{_XHTML}img" or bool((element.text or "").strip())
            shows = shows or any((child.tail or "").strip() for child in element)
        level = [child for element in level for child in element]
    return None if shows else "must have some content that is not blank"


def _element_fault(element: ElementTree.Element) -> str | None:
    name = element.tag.removeprefix(_XHTML) if isinstance(element.tag, str) else ""
    if name == element.tag or name not in _ELEMENTS:
        return "has an element that a narrative may not have"
    for attribute, value in element.attrib.items():
        if attribute not in _ATTRIBUTES:
            return "has an attribute that a narrative may not have"
        if attribute in _LINKS and not _is_safe_link(value):
            return "has a link that a narrative may not have"
        if attribute == "style" and _STYLE_LOADS.search(value):
            return "has a style that loads something"
    return None


def _is_safe_link(value: str) -> bool:
    # A browser leaves blanks and control characters out of a scheme.
    target = "".join(c for c in value if c > " ").lower()
    scheme = _SCHEME.match(target)
    if scheme is None:
        return True
    return scheme[1] in _SCHEMES and (scheme[1] != "data" or target.startswith("data:image/"))


def _as_number(match: re.Match[str]) -> str:
    name = match[1]
    if name in _XML_NAMES:
        return match[0]
    point = html.entities.name2codepoint.get(name)
    return f"&#{point};" if point is not None else match[0]
