from fractions import Fraction

import pytest

from osler.draft.facts.context import Flag
from osler.draft.facts.extract import extract
from osler.draft.facts.words import read_words, stem


def _texts(text):
    return [word.text for word in read_words(text)]


def _numbers(text):
    return [
        (f"{one.value}" + (f"/{one.out_of}" if one.out_of is not None else ""), one.unit)
        for one in extract(text).quantities
        if one.sure
    ]


def _flags(text, name, *, spoken=False):
    found = [one for one in extract(text, spoken=spoken).mentions if one.concept.name == name]
    assert found, f"{name} is not found"
    return Flag(found[0].flags)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I don't", ["i", "do", "not"]),
        ("i do n't", ["i", "do", "not"]),
        ("can’t", ["can", "not"]),
        ("ca n't", ["can", "not"]),
        ("wo n't", ["will", "not"]),
        ("he doesnt", ["he", "does", "not"]),
        ("cannot", ["can", "not"]),
        ("mother's", ["mother"]),
        ("20mg", ["20", "mg"]),
        ("1,000", ["1000"]),
        ("A1c B12", ["a1c", "b12"]),
        ("[NAME-1] said", ["[NAME-1]", "said"]),
        ("x-ray", ["x", "-", "ray"]),
        ("", []),
    ],
)
def test_words(text, words):
    assert _texts(text) == words


def test_words_keep_their_place_in_code_points():
    text = "é 😀 don't 20 mg"
    assert [text[word.start : word.end] for word in read_words(text)] == ["é", "😀", "don't", "don't", "20", "mg"]


def test_forms_of_a_word_share_a_stem():
    for forms in (("resolve", "resolved", "resolves", "resolving"), ("hate", "hates"), ("allergy", "allergies")):
        assert len({stem(form) for form in forms}) == 1


NUMBERS = [
    ("one twenty over eighty", [("120/80", "")]),
    ("120/80 mmHg", [("120/80", "mmhg")]),
    ("one hundred twenty over eighty", [("120/80", "")]),
    ("seven out of ten", [("7/10", "")]),
    ("a hundred and two point four", [("512/5", "")]),
    ("ninety eight point six degrees", [("493/5", "degree")]),
    ("zero point four milligrams", [("2/5", "mg")]),
    ("point five centimeters", [("1/2", "cm")]),
    ("point 5 cm", [("1/2", "cm")]),
    ("five hundred five hundred milligrams", [("500", ""), ("500", "mg")]),
    ("1+ edema", [("1", "plus")]),
    ("one plus edema", [("1", "plus")]),
    ("98.6", [("493/5", "")]),
    ("two weeks", [("2", "week")]),
    ("3 to 5 days", [("3", "day"), ("5", "day")]),
    ("three and a half weeks", [("7/2", "week")]),
    ("45 %", [("45", "percent")]),
    ("45 percent", [("45", "percent")]),
    ("58-year-old", [("58", "year")]),
    ("nineteen ninety five", [("1995", "")]),
    ("one oh five", [("105", "")]),
    ("two thousand and five", [("2005", "")]),
    ("1,250 units", [("1250", "unit")]),
    ("the 5th toe", [("5", "ordinal")]),
    ("six times", [("6", "")]),
    ("x2", [("2", "")]),
    ("one of them", []),
    ("a pill", []),
    ("9" * 40, []),
]


@pytest.mark.parametrize(("text", "numbers"), NUMBERS)
def test_numbers(text, numbers):
    assert _numbers(text) == numbers


def _first(text):
    return extract(text).quantities[0]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("two weeks", "14 days", True),
        ("12 months", "a year", True),
        ("48 hours", "2 days", True),
        ("90 minutes", "an hour and a half", True),
        ("half an hour", "30 minutes", True),
        ("1000 mg", "1 gram", True),
        ("500 mcg", "0.5 mg", True),
        ("2 weeks", "2", True),
        ("2 weeks", "2 days", False),
        ("33 days", "34 days", False),
        ("20 mg", "20 tablets", False),
        ("3/7", "three days", True),
        ("3/6", "3", False),
        ("5", "fifth", False),
        ("5th", "fifth", True),
    ],
)
def test_quantities_agree_across_units(one, other, same):
    assert _first(one).agrees(_first(other)) is same


RATES = [
    ("twice a day", [2]),
    ("bid", [2]),
    ("b.i.d.", [2]),
    ("two times daily", [2]),
    ("three times a day", [3]),
    ("every eight hours", [3]),
    ("q8h", [3]),
    ("20 mg a day", [1]),
    ("once daily", [1]),
    ("nightly", [1]),
    ("at bedtime", [1]),
    ("every uh six hours", [4]),
    ("every other day", [Fraction(1, 2)]),
    ("once a week", [Fraction(1, 7)]),
    ("every day", [1]),
    ("the next day", []),
]


@pytest.mark.parametrize(("text", "rates"), RATES)
def test_rates(text, rates):
    assert [one.per_day for one in extract(text).rates] == rates


DAYS = [
    ("March 3rd, 2020", (2020, 3, 3)),
    ("3 March", (0, 3, 3)),
    ("march third", (0, 3, 3)),
    ("03/15/2020", (2020, 3, 15)),
    ("2020-03-15", (2020, 3, 15)),
    ("10/2020", (2020, 10, 0)),
    ("October of 2020", (2020, 10, 0)),
    ("february 5th , '21", (2021, 2, 5)),
]


@pytest.mark.parametrize(("text", "day"), DAYS)
def test_days(text, day):
    assert [(one.year, one.month, one.day) for one in extract(text).days] == [day]


@pytest.mark.parametrize("text", ["you may have it", "120/80", "march on", "13/45/2020"])
def test_no_days(text):
    assert extract(text).days == ()


CONTEXTS = [
    ("He denies fever, chills, and nausea but reports cough.", "nausea", Flag.NEGATED),
    ("He denies fever, chills, and nausea but reports cough.", "cough", Flag(0)),
    ("No chest pain and the cough is worse.", "cough", Flag(0)),
    ("Negative for weight loss, headaches, or fever.", "fever", Flag.NEGATED),
    ("Fever: no.", "fever", Flag.NEGATED),
    ("Pneumonia was ruled out.", "pneumonia", Flag.NEGATED),
    ("Non-tender knee.", "pain", Flag.NEGATED),
    ("No, I have a cough.", "cough", Flag(0)),
    ("no i have a cough", "cough", Flag(0)),
    ("there is no swelling there's a small effusion", "effusion", Flag(0)),
    ("Possible pneumonia.", "pneumonia", Flag.POSSIBLE),
    ("this could be pneumonia", "pneumonia", Flag.POSSIBLE),
    ("Rule out appendicitis.", "appendicitis", Flag.POSSIBLE),
    ("Call me if you have chest pain.", "chest pain", Flag.HYPOTHETICAL),
    ("History of stroke.", "stroke", Flag.HISTORICAL),
    ("She is allergic to penicillin.", "penicillin", Flag.ALLERGY),
    ("He has a penicillin allergy.", "penicillin", Flag.ALLERGY),
    ("I stopped taking metformin.", "metformin", Flag.STOPPED),
    ("Increase lisinopril.", "lisinopril", Flag.RAISED),
    ("Continue lisinopril.", "lisinopril", Flag.CONTINUED),
    ("Tylenol did not help the pain.", "pain", Flag(0)),
]


@pytest.mark.parametrize(("text", "name", "flag"), CONTEXTS)
def test_contexts(text, name, flag):
    assert _flags(text, name) is flag


@pytest.mark.parametrize(
    "text",
    [
        "do you have any chest pain ?",
        "any chest pain",
        "okay and have you had chest pain",
        "what about chest pain",
        "chest pain ?",
    ],
)
def test_a_question_asserts_nothing(text):
    assert _flags(text, "chest pain", spoken=True) & Flag.ASKED


@pytest.mark.parametrize("text", ["when did the chest pain start ?", "you have chest pain , okay ?", "my chest pain"])
def test_what_takes_a_thing_for_granted_asserts_it(text):
    assert not _flags(text, "chest pain", spoken=True) & Flag.ASKED


@pytest.mark.parametrize(
    ("text", "kin"),
    [
        ("My mom had a stroke.", "mother"),
        ("Stroke in his father.", "father"),
        ("Family history of stroke.", "family"),
        ("My mother is well, I had a stroke.", ""),
        ("my mom and her sister , i think they both had a stroke", "sister"),
        ("I had a stroke as a child.", ""),
    ],
)
def test_whose_it_is(text, kin):
    assert [one.kin for one in extract(text).mentions if one.concept.name == "stroke"] == [kin]


def test_doses_belong_to_their_drugs():
    facts = extract("Increase Lasix to 80 mg once a day and 20 mg of lisinopril twice daily. Ibuprofen as needed.")
    doses = {one.concept.name: [f"{dose.value} {dose.unit}" for dose in one.doses] for one in facts.mentions}
    rates = {one.concept.name: [rate.per_day for rate in one.rates] for one in facts.mentions}
    assert doses == {"furosemide": ["80 mg"], "lisinopril": ["20 mg"], "ibuprofen": []}
    assert rates == {"furosemide": [1], "lisinopril": [2], "ibuprofen": []}


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("right knee pain", [("right", "knee")]),
        ("the knee on the left", [("left", "knee")]),
        ("both of my knees", [("both", "knee")]),
        ("bilateral lower extremity edema", [("both", "leg")]),
        ("left-sided weakness", [("left", "~weak")]),
        ("all right , right now", []),
        ("on the right hand side of the chest", [("right", "chest")]),
        ("my ankles", [("pair", "ankle")]),
    ],
)
def test_sides(text, sides):
    found = [(one.side, one.site) for one in extract(text).sides]
    assert [one for one in found if one[0] != "pair" or len(found) == 1] == sides
