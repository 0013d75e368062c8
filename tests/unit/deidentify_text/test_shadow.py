import pytest

from osler.deidentify.text import Deidentifier
from osler.deidentify.text.shadow import MASK, make_shadow


@pytest.mark.parametrize(
    ("text", "shadow"),
    [
        ("plain text", "plain text"),
        ("ＪＡＮＥ ４５６", "JANE 456"),
        ("J\u200bo\u00adhn", "John"),
        ("Jоhn", "John"),  # Cyrillic o
        ("Иванов", "Иванов"),
        ("e\u0301", "é"),
        ("O\u2019Brien \u2013 1\u00a02", "O'Brien - 1 2"),
        ("&lt;b&gt; &amp; &#74;&#x6f;hn &nbsp;x &bogus;", "<b> & John  x &bogus;"),
        ("Ander-\nson", "Anderson"),
        ("Smith-\r\n  Jones", "Smith-Jones"),
        ("123-45-\n6789", "123-45-6789"),
        ("\u0661\u0662\u0663", "123"),
        ("[NAME-1] x", MASK * 8 + " x"),
        ("[SIC]", "[SIC]"),
    ],
)
def test_shadow(text: str, shadow: str) -> None:
    made = make_shadow(text)
    assert made.text == shadow
    assert made.to_input(0, len(made.text)) == (0, len(text))


@pytest.mark.parametrize(
    "text",
    [
        "MRN: ８８４４２２１.",
        "MRN: 88\u200b44\u200b221.",
        "MRN: 8844&#50;21.",
        "MRN: 884-\n4221.",
        "МRN: 8844221.",  # Cyrillic M
    ],
)
def test_no_spelling_hides_a_number(text: str) -> None:
    assert Deidentifier().deidentify(text).text == f"{text[:5]}[MRN-1]."
