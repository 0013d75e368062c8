"""HL7 v2: what is read is written with the same bytes, and text survives its escapes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.deidentify.hl7v2 import Hl7v2Deidentifier
from osler.errors import Malformed
from osler.standards.hl7v2 import Delimiters, build, parse, split

PUNCTUATION = "|^~\\&#!$%*+;:@=/"
names = st.from_regex(r"[A-Z][A-Z0-9]{2}", fullmatch=True).filter(lambda name: name != "MSH")
words = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)
terminators = st.sampled_from(["\r", "\r\n", "\n"])
delimiters = st.lists(st.sampled_from(PUNCTUATION), min_size=5, max_size=6, unique=True).map(
    lambda marks: Delimiters(*marks)
)
SETS = {"": "ascii", "UNICODE UTF-8": "utf-8", "8859/1": "iso8859_1", "GB 18030-2000": "gb18030", "BIG-5": "big5"}


def message(marks: Delimiters, terminator: str, body: list[tuple[str, list[str]]], charset: str) -> str:
    encoding = marks.component + marks.repetition + marks.escape + marks.subcomponent + marks.truncation
    head = marks.field.join(["MSH", encoding, *[""] * 9, "2.5.1", *[""] * 5, charset])
    return "".join(marks.field.join(line) + terminator for line in [[head], *([name, *f] for name, f in body)])


@given(
    delimiters,
    terminators,
    st.lists(st.tuples(names, st.lists(words, max_size=6)), max_size=5),
    st.sampled_from([*SETS]),
)
@settings(max_examples=150, deadline=None)
def test_a_message_is_written_as_it_was_read(
    marks: Delimiters, terminator: str, body: list[tuple[str, list[str]]], charset: str
) -> None:
    charset = "UNICODE UTF-8" if {marks.field, marks.repetition} & set(charset) else charset
    source = message(marks, terminator, body, charset)
    try:
        content = source.encode(SETS[charset])
    except UnicodeEncodeError:
        content = message(marks, terminator, body, "UNICODE UTF-8").encode()
    read = parse(content)
    assert build(read) == content
    assert read.delimiters == marks
    assert [segment.name for segment in read.segments] == ["MSH", *(name for name, _ in body)]


@given(delimiters, st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_text_survives_its_escapes(marks: Delimiters, text: str) -> None:
    raw = marks.escaped(text)
    assert not {marks.field, marks.component, marks.repetition, marks.subcomponent, "\r", "\n"} & set(raw)
    assert marks.unescaped(raw) == text


@given(st.binary(max_size=200).map(lambda tail: b"MSH|^~\\&|" + tail))
def test_any_bytes_give_a_message_or_a_refusal(content: bytes) -> None:
    try:
        read = parse(content)
    except Malformed:
        return
    assert build(read) == content


@given(delimiters, terminators, st.lists(st.lists(words, min_size=1, max_size=4), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_structure_is_kept_when_identity_goes(marks: Delimiters, terminator: str, texts: list[list[str]]) -> None:
    body = [
        ("OBX", ["1", "TX", "", "", marks.repetition.join(marks.escaped(word) for word in slot), *[""] * 5, "F"])
        for slot in texts
    ]
    content = message(marks, terminator, body, "UNICODE UTF-8").encode()
    before = parse(content)
    after = parse(Hl7v2Deidentifier(EphemeralPseudonyms(), this_year=2026).message(content))
    assert [(s.name, len(s.fields), s.terminator) for s in after.segments] == [
        (s.name, len(s.fields), s.terminator) for s in before.segments
    ]
    for old, new in zip(before.segments[1:], after.segments[1:], strict=True):
        assert len(split(new.field(5), marks.repetition)) == len(split(old.field(5), marks.repetition))
