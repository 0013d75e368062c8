"""The recogniser keeps the contract, and finds what it says."""

import pytest
from osler_employee_badge import EmployeeBadge

from osler.deidentify.text import Category, Deidentifier
from osler.testing import check_recogniser


def test_it_keeps_the_contract():
    check_recogniser(
        EmployeeBadge,
        finds=[("Seen by E-123456.", "E-123456"), ("badge e - 654321", "e - 654321"), ("(E-000001)", "E-000001")],
        leaves=["E-12345", "E-1234567", "GRADE-123456", "vitamin E 400", "E-123456-7", "ICD E11.9"],
    )


@pytest.mark.parametrize("written", ["E-123456", "e-123456", "Ｅ-１２３４５６", "E\N{NON-BREAKING HYPHEN}123456"])
def test_it_is_replaced_however_it_is_written(written):
    result = Deidentifier(recognisers=[EmployeeBadge()]).deidentify(f"Wound checked, badge {written} at the bedside.")
    assert written not in result.text
    assert any(span.category is Category.OTHER_ID for span in result.spans)
