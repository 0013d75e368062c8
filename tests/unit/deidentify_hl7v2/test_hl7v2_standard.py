"""Messages taken apart by HL7 v2.8 chapter 2."""

import pytest

from osler.errors import Malformed, UnsupportedKind
from osler.standards.hl7v2 import Delimiters, build, parse, split_messages

HEAD = b"MSH|^~\\&|A|B|C|D|2026||ACK|1|P|2.5.1"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r"a\F\b\S\c\R\d\T\e\E\f", "a|b^c~d&e\\f"),
        (r"first\.br\second\.sp2\third", "first\nsecond\nthird"),
        (r"\H\loud\N\ voice", "loud voice"),
        (r"\X4A616E65\ \XC3A9\ ", "Jane é "),
        (r"\Zlocal\kept\C2842\", ", 'kept", '),
        (r"half \open", r"half open"),
        (r"\Xnot hex\x", "x"),
    ],
)
def test_escape_sequences(raw: str, text: str) -> None:
    assert Delimiters().unescaped(raw) == text


def test_fields_are_numbered_as_in_the_standard() -> None:
    read = parse(HEAD + b"\rPID|1||7^^^H&1.2&ISO\r")
    msh, pid = read.segments
    assert (msh.field(1), msh.field(2), msh.field(9), msh.field(12)) == ("|", "^~\\&", "ACK", "2.5.1")
    assert (pid.field(3), pid.field(0), pid.field(99)) == ("7^^^H&1.2&ISO", "", "")


@pytest.mark.parametrize(
    ("charset", "codec", "word"),
    [
        (b"UNICODE UTF-8", "utf-8", "Grüße"),
        (b"8859/1", "iso8859_1", "Grüße"),
        (b"GB 18030-2000", "gb18030", "王小东"),
        (b"BIG-5", "big5", "功績"),
        (b"~ISO IR87", "iso2022_jp_2", "山田"),
        (b"", "utf-8", "Grüße"),
    ],
)
def test_character_sets(charset: bytes, codec: str, word: str) -> None:
    content = HEAD + b"||||||" + charset + b"\rNTE|1||" + word.encode(codec) + b"\r"
    read = parse(content)
    assert read.segments[1].field(3) == word
    assert build(read) == content


def test_undeclared_bytes_that_are_not_utf_8_are_latin_1() -> None:
    read = parse(HEAD + b"\rNTE|1||Gr\xfc\xdfe\r")
    assert (read.segments[1].field(3), read.codec) == ("Grüße", "iso8859_1")


@pytest.mark.parametrize(
    "content",
    [b"", b"PID|1", b"MSH|", b"MSH|^^~&|A", b"MSH|^~\\&ab|A", HEAD + b"\rpid|1\r", HEAD + b"\r\x00|x\r"],
)
def test_what_is_no_message_is_refused(content: bytes) -> None:
    with pytest.raises(Malformed):
        parse(content)


def test_a_character_set_that_is_not_known_is_refused() -> None:
    with pytest.raises(UnsupportedKind):
        parse(HEAD + b"||||||EBCDIC\r")
    with pytest.raises(Malformed):
        parse(HEAD + b"||||||UNICODE UTF-8\rNTE|1||\xff\r")


def test_batches_and_frames_are_taken_apart() -> None:
    one, two = HEAD + b"\rNTE|1||MSH in words\r", HEAD + b"\rNTE|2\r"
    batch = b"FHS|^~\\&|X\rBHS|^~\\&|X\r" + one + two + b"BTS|2\rFTS|1\r"
    assert split_messages(batch) == [one, two]
    assert split_messages(b"\x0b" + one + b"\x1c\r\x0b" + two + b"\x1c\r") == [one, two]
    assert split_messages(one.replace(b"\r", b"\r\n")) == [one.replace(b"\r", b"\r\n")]
    assert split_messages(b"no message") == []
