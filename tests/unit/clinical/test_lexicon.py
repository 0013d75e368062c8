import pytest

from osler.clinical.lexicon import Concept, Kind, Lexicon, drug_names, lexicon, singular


def _found(text):
    words = text.split()
    return {" ".join(words[one.start : one.end]): one.concept.name for one in lexicon().find(words)}


def test_more_drugs_are_known_than_a_formulary_has():
    names = drug_names()
    assert len(names) >= 3000
    assert list(names) == sorted(set(names))
    assert {"lasix", "furosemide", "tylenol", "paracetamol", "co codamol"} <= set(names)


@pytest.mark.parametrize(
    ("brand", "generic"),
    [
        ("Lasix", "furosemide"),
        ("TYLENOL", "acetaminophen"),
        ("paracetamol", "acetaminophen"),
        ("Toprol XL", "metoprolol"),
        ("co-amoxiclav", "amoxicillin clavulanate"),
        ("augmentin", "amoxicillin clavulanate"),
        ("z-pak", "azithromycin"),
    ],
)
def test_a_brand_is_its_generic(brand, generic):
    assert lexicon().concept(brand) == Concept(generic, Kind.DRUG)


def test_what_is_no_name_is_no_concept():
    assert lexicon().concept("table") is None


def test_the_longest_name_is_found_and_lay_words_mean_the_clinical_ones():
    assert _found("she gets short of breath with type two diabetes and high blood pressure") == {
        "short of breath": "shortness of breath",
        "type two diabetes": "type 2 diabetes",
        "high blood pressure": "hypertension",
    }


def test_plurals_are_found():
    assert _found("no headaches or kidney stones on x rays") == {
        "headaches": "headache",
        "kidney stones": "kidney stones",
        "x rays": "x ray",
    }


SINGULAR = {
    "knees": "knee",
    "allergies": "allergy",
    "rashes": "rash",
    "headaches": "headache",
    "diagnosis": "diagnosis",
    "abscess": "abscess",
    "his": "his",
    "boxes": "box",
}


@pytest.mark.parametrize(("word", "one"), SINGULAR.items())
def test_singular(word, one):
    assert singular(word) == one


def test_matches_do_not_overlap_and_cover_what_they_say():
    words = ["chest", "pain", "chest", "pain", "chest", "x", "ray", "pain"]
    spans = [(one.start, one.end) for one in lexicon().find(words)]
    assert spans == [(0, 2), (2, 4), (4, 7), (7, 8)]


def test_every_line_of_the_lists_is_a_concept():
    for kind in Kind:
        for name in lexicon().names(kind):
            concept = lexicon().concept(name)
            assert concept is not None
            assert concept.kind is kind
            assert name == " ".join(name.split()).lower()


def test_a_lexicon_of_ones_own():
    own = Lexicon({"red thing": Concept("thing", Kind.FINDING)})
    assert [one.concept.name for one in own.find(["a", "red", "thing"])] == ["thing"]
