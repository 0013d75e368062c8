"""How far a token reaches: one row a rule."""

import pytest

from osler.api.people.roles import Role
from osler.api.smart.context import NOWHERE, LaunchContext
from osler.api.smart.reach import reach_of
from osler.api.smart.scopes import parse_scopes
from osler.api.smart.tokens import ActingFor, Grant
from osler.domain.reach import EVERYTHING, NO_PATIENT, Part

CODE = ("code", ("both", "http://loinc.org", "718-7"))
FINAL = ("status", ("code", "final"))
BY_CODE = "?code=http://loinc.org|718-7"
CLINICIAN, ENGINEER = ActingFor("ann", Role.CLINICIAN, None), ActingFor("max", Role.ML_ENGINEER, None)
P1 = LaunchContext(patient="P1")


def grant(scopes: str, person: ActingFor | None = CLINICIAN, context: LaunchContext = P1) -> Grant:
    return Grant("app", parse_scopes(scopes), person=person, context=context)


ROWS = [
    # rule, grant, type, right, reach
    ("a program has all of a type", grant("system/Observation.rs", None), "Observation", "r", EVERYTHING),
    ("of no other type", grant("system/Observation.rs", None), "Patient", "r", ()),
    ("and no other right", grant("system/Observation.rs", None), "Observation", "c", ()),
    ("but no more than its filter", grant(f"system/Observation.rs{BY_CODE}", None), "Observation", "s", (Part(tokens=(CODE,), restricted=True),)),  # noqa: E501
    ("a program acts in nobody's name", grant("user/*.cruds patient/*.cruds", None, NOWHERE), "Observation", "r", ()),
    ("nor does a person act as a program", grant("system/*.cruds"), "Observation", "r", ()),
    ("a person has what is not restricted", grant("user/Observation.rs"), "Observation", "r", (Part(),)),
    ("and no more than the role", grant("user/*.cruds"), "Patient", "c", ()),
    ("a role may give nothing", grant("user/*.cruds", ENGINEER), "Observation", "r", ()),
    ("or something", grant("user/*.cruds", ENGINEER), "Device", "r", (Part(),)),
    ("nobody deletes", grant("user/*.cruds"), "Observation", "d", ()),
    ("a launch has its patient", grant("patient/*.rs"), "Observation", "r", (Part(patient="P1"),)),
    ("the patient themself", grant("patient/Patient.r"), "Patient", "r", (Part(patient="P1"),)),
    ("to write too", grant("patient/*.cruds"), "Observation", "c", (Part(patient="P1"),)),
    ("without a patient nothing", grant("patient/*.rs", context=NOWHERE), "Observation", "r", ()),
    ("the role narrows a launch", grant("patient/*.rs", ENGINEER), "Observation", "r", ()),
    ("the directory is open to a launch", grant("patient/*.rs"), "Practitioner", "r", (Part(),)),
    ("to look", grant("patient/*.cruds"), "Organization", "c", ()),
    ("devices of the patient and of nobody", grant("patient/*.rs"), "Device", "s", (Part(patient="P1"), Part(patient=NO_PATIENT))),  # noqa: E501
    ("filters narrow a launch", grant(f"patient/Observation.rs{BY_CODE}&status=final"), "Observation", "r", (Part(patient="P1", tokens=(CODE, FINAL)),)),  # noqa: E501
    ("two filters give either", grant(f"patient/Observation.rs{BY_CODE} patient/Observation.rs?status=final"), "Observation", "r", (Part(patient="P1", tokens=(CODE,)), Part(patient="P1", tokens=(FINAL,)))),  # noqa: E501
    ("user and patient scopes add up", grant("patient/*.rs user/Observation.s"), "Observation", "s", (Part(patient="P1"), Part())),  # noqa: E501
    ("a filter that a type has not gives nothing", grant("patient/*.rs?code=x"), "ImagingStudy", "r", ()),
    ("version 1 reads and searches", grant("patient/Observation.read"), "Observation", "s", (Part(patient="P1"),)),
    ("version 1 read writes nothing", grant("patient/Observation.read"), "Observation", "u", ()),
    ("a word is no access", grant("launch/patient openid offline_access"), "Observation", "r", ()),
    ("an unknown type", grant("user/*.cruds"), "Elephant", "r", ()),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "held", "type_name", "right", "reach"), ROWS, ids=[row[0] for row in ROWS])
def test_reach(rule: str, held: Grant, type_name: str, right: str, reach: tuple[Part, ...]) -> None:
    assert reach_of(held, type_name, right) == reach, rule


def test_broken_glass_shows_what_is_restricted_of_that_patient_alone() -> None:
    user, launched = grant("user/Observation.rs"), grant("patient/Observation.rs")
    broken = frozenset({"P1", "P7"})

    assert reach_of(user, "Observation", "r", broken=broken) == (
        Part(),
        Part(patient="P1", restricted=True),
        Part(patient="P7", restricted=True),
    )
    assert reach_of(launched, "Observation", "r", broken=broken) == (Part(patient="P1", restricted=True),)
    assert reach_of(launched, "Observation", "r", broken=frozenset({"P7"})) == (Part(patient="P1"),)
