"""45 CFR 164.514(b)(2)(i): one table a category; what must go, and what looks like it and must stay."""

import pytest

from osler.deidentify.text import Category, Deidentifier

GOES = [
    # (clause, category, text with the identifier between bars)
    ("A names", "NAME", "Patient: |John Smith|, seen by Dr. |Okafor|"),
    ("B street", "LOCATION", "Lives at |12 Main Street, Apt 4|, with her son"),
    ("B street", "LOCATION", "lives at |1800 NW 5th Avenue|"),
    ("B post box", "LOCATION", "mail to |P.O. Box 1234|"),
    ("B town", "LOCATION", "She moved here from |Boston| last year"),
    ("B town", "LOCATION", "resident of |Springfield|, IL"),
    ("B county", "LOCATION", "from |Suffolk County|"),
    ("B postal code", "LOCATION", "Cleveland, OH |44106|"),
    ("B facility", "LOCATION", "transferred from |Mercy General Hospital| today"),
    ("B facility", "LOCATION", "care at |St. Mary's Medical Center|"),
    ("B school", "LOCATION", "a teacher at |Lincoln High School|"),
    ("B employer", "LOCATION", "she works at |Acme Widgets|, nights"),
    ("B street", "LOCATION", "address: |12 main street, springfield|, il |62701|"),
    ("B street", "LOCATION", "she lives on |elm street| now"),
    ("B street", "LOCATION", "he said |forty two oak lane|"),
    ("B abroad", "LOCATION", "|Flat 4, 22 Acacia Avenue, Manchester M14 5TP|"),
    ("B abroad", "LOCATION", "|45 Collins St, Melbourne VIC 3000|"),
    ("B abroad", "LOCATION", "|100 Queen St W, Toronto|, ON |M5H 2N2|"),
    ("B abroad", "LOCATION", "|Hauptstraße 12, 10115 Berlin|"),
    ("B abroad", "LOCATION", "|12 rue Victor Hugo, 75001 Paris|"),
    ("B coordinates", "LOCATION", "found at |42.3601, -71.0589|"),
    ("C date", "DATE", "seen on |03/14/2021| in clinic"),
    ("C date", "DATE", "|14MAR2021|"),
    ("C date", "DATE", "|March 14-16, 2021|"),
    ("C date", "DATE", "on |3/14| and |3/16|"),
    ("C date", "DATE", "Hgb |3/14| 9.8, |3/15| 9.2"),
    ("C date", "DATE", "DOB: |3/14/l972|"),
    ("C date", "DATE", "seen |March\n14, 2021|"),
    ("C spoken", "DATE", "date of birth is |three fourteen seventy two|"),
    ("C spoken", "DATE", "dictated |june three two thousand nineteen|"),
    ("C date", "DATE", "seen on |March 14th, 2021|"),
    ("C date", "DATE", "seen on |14 Mar 2021|"),
    ("C date", "DATE", "seen on |14-MAR-21|"),
    ("C date", "DATE", "seen |2021-03-14T08:30:00Z|"),
    ("C HL7 stamp", "DATE", "observed |20240229T2359-0500|"),
    ("C HL7 stamp", "DATE", "observed |202402292359|"),
    ("C month and day", "DATE", "admitted |3/14|, discharged later"),
    ("C month and year", "DATE", "diagnosed in |March 2019|"),
    ("C month", "DATE", "diagnosed in |March|"),
    ("C spoken", "DATE", "seen on the |fifth of March twenty twenty one|"),
    ("C spoken", "DATE", "seen |march fifth|"),
    ("C holiday", "DATE", "fell on |Christmas Eve|"),
    ("C weekday", "DATE", "seen on |Tuesday|"),
    ("C season", "DATE", "onset in the |summer of 2019|"),
    ("C old birth year", "DATE", "born in |1921| at home"),
    ("C age", "AGE", "a |91|-year-old woman"),
    ("C age", "AGE", "|103| y.o. male"),
    ("C age", "AGE", "she turned |91| in the spring"),
    ("C age", "AGE", "he is in his |90s|"),
    ("C age", "AGE", "a |ninety-four| year old man"),
    ("C age", "AGE", "this |nonagenarian| lives alone"),
    ("C age", "AGE", "age: |97|, female"),
    ("C age", "AGE", "celebrated her |95th| birthday"),
    ("C age", "AGE", "mother died at |93|; father, |94|, alive"),
    ("C age", "AGE", "Age/Sex: |94|/F"),
    ("C age", "AGE", "|95|YOM with a cough"),
    ("D telephone", "PHONE", "call |(617) 555-0199|"),
    ("D telephone", "PHONE", "call |(617)\n555-0199|"),
    ("D telephone", "PHONE", "call |07700 900123|"),
    ("D telephone", "PHONE", "call |6 1 7 5 5 5 0 1 9 9|"),
    ("D telephone", "PHONE", "it is |six one seven five fifty five oh one ninety nine|"),
    ("D telephone", "PHONE", "reach her on |double five five, oh one double nine|"),
    ("D telephone", "PHONE", "call |617.555.0199 x22|"),
    ("D telephone", "PHONE", "call |+44 20 7946 0958|"),
    ("D telephone", "PHONE", "cell |6175550199|"),
    ("D telephone", "PHONE", "my number is |six one seven, five five five, zero one nine nine|"),
    ("D pager", "PHONE", "pager |12345|"),
    ("E fax", "FAX", "Fax: |617-555-0198|"),
    ("E fax", "FAX", "results were faxed to |617-555-0198|"),
    ("F e-mail", "EMAIL", "|john.smith [at] gmail [dot] com|"),
    ("F e-mail", "EMAIL", "her email is |j smith underscore 92 at yahoo dot com|"),
    ("F e-mail", "EMAIL", "write to |jane.doe+ct@example.org| please"),
    ("F e-mail", "EMAIL", "it is |jane dot doe at gmail dot com|"),
    ("G SSN", "SSN", "SSN |123-45-6789|"),
    ("G SSN", "SSN", "social security number is |123 45 6789|"),
    ("G SSN", "SSN", "ssn: |123456789|"),
    ("G SSN", "SSN", "last four of the social: |6789|"),
    ("G SSN", "SSN", "SSN: |1 2 3 4 5 6 7 8 9|"),
    ("H record number", "MRN", "MRN: |00-48-1516|"),
    ("H record number", "MRN", "MRN............: |554433|"),
    ("H record number", "MRN", "NHS number |943 476 5919|"),
    ("H record number", "MRN", "MRN is |eight eight four two two one seven|"),
    ("H record number", "MRN", "patient_id: |449182|"),
    ("H record number", "MRN", "medical record no. |A1234567|"),
    ("H record number", "MRN", "MRN# |8675309|"),
    ("I health plan", "HEALTH_PLAN", "Member ID: |XYZ123456789|"),
    ("I health plan", "HEALTH_PLAN", "Medicare |1EG4-TE5-MK73|"),
    ("I health plan", "HEALTH_PLAN", "Insurance: Aetna, ID |W228812345|"),
    ("I health plan", "HEALTH_PLAN", "Group #: |G-77120|"),
    ("I health plan", "HEALTH_PLAN", "Health card number: |9876 543 217|"),
    ("J account", "ACCOUNT", "Visa ending in |4242|"),
    ("J account", "ACCOUNT", "account number |4481-22|"),
    ("J account", "ACCOUNT", "paid by |4111 1111 1111 1111| today"),
    ("K licence", "LICENSE", "driver's license |S530-4601|"),
    ("K DEA", "LICENSE", "DEA |BJ6125341|"),
    ("K NPI", "LICENSE", "NPI: |1234567893|"),
    ("K licence", "LICENSE", "Nursing license: |RN 882134|"),
    ("L plate", "VEHICLE", "vehicle registration |LK21 XYZ|"),
    ("L vehicle", "VEHICLE", "VIN |1M8GDM9AXKP042788|"),
    ("L plate", "VEHICLE", "license plate |7ABC123|"),
    ("M device", "DEVICE", "pacemaker serial number |PJN-442190|"),
    ("M device", "DEVICE", "Lot |0010324|, S/N |4-55-1|"),
    ("M UDI", "DEVICE", "UDI |(01)00844588003288(17)141120(10)7654321D|"),
    ("N URL", "URL", "see |https://example.org/p/81?id=7|"),
    ("N URL", "URL", "see |www.janedoe-family.com/blog| for it"),
    ("O IP address", "IP", "from |192.168.10.24|"),
    ("O IP address", "IP", "from |fe80::1ff:fe23:4567:890a|"),
    ("O IP address", "IP", "from |192[.]168[.]1[.]5|, MAC |001B.4411.3AB7|"),
    ("P biometric", "BIOMETRIC", "facial recognition template |FR-8812|"),
    ("P biometric", "BIOMETRIC", "fingerprint template |FP-88213|"),
    ("Q photograph", "PHOTO", "see |jane_doe_face.jpg|"),
    ("R other", "OTHER_ID", "accession number |CT-20-33981|"),
    ("R other", "OTHER_ID", "specimen # |S21-4411|"),
    ("R other", "OTHER_ID", "user ID: |jsmith|, badge |4412|"),
    ("R other", "OTHER_ID", "Claim number: |WC-2021-99812|"),
    ("R other", "OTHER_ID", "study ID |ONC-0042|"),
]

STAYS = [
    "SpO2 95 % on RA, 98 % on 2 L",
    "102 months of follow-up",
    "BP 120/80, HR 92, RR 18, T 98.6 F",
    "oxycodone-acetaminophen 5/325 mg every 6 hours",
    "strength 4/5 throughout, 2/6 systolic murmur, pain 7/10",
    "Parkinson disease, Hodgkin lymphoma, Down syndrome, Crohn's disease",
    "Foley catheter in place, Kocher incision, Babinski negative",
    "C-spine cleared, L4-L5 disc, T12 fracture",
    "WBC 12,000, platelets 250000, Na 138, K 4.1, Hgb 9.8",
    "penicillin 2400000 units",
    "EF 55-60 %, LVEDD 5.2 cm",
    "Boston criteria, Glasgow Coma Scale 15, Rome IV criteria",
    "dialysis every Monday, Wednesday and Friday",
    "may benefit from march in place exercises",
    "a fall at home, in the spring ligament",
    "seen in the emergency department and the cardiology clinic",
    "ICD-10 code M54.5, COVID-19, HER2, CD4 count 350",
    "a 45-year-old man from Ohio, born in 1972",
    "90 mg daily, in the 90th percentile",
    "BP in the 90s, died at 45",
    "Christmas disease, factor IX",
    "24/7 coverage, 20/20 vision, 1/2 tablet",
    "Ishihara plates 14/14, Snellen 20/40, platelets 250000",
    "I/O 1200/900, C3D8, day 8/21, 3/14 nodes positive",
    "2 mm st elevation, 3 lead st changes, 2 way street, saw 2 dr today",
    "serial 7s, lot of pain, lead II, plate fixation, model of care, page 2 of 3",
    "call 911, 2019-2021, 1-2 tabs q4-6h, for 3/12 months, 39 2/7 weeks",
    "x-ray of 2 views, 3.5 x 4.2 x 1.1 cm mass",
]


@pytest.fixture(scope="module")
def engine() -> Deidentifier:
    return Deidentifier()


@pytest.mark.parametrize(("clause", "category", "marked"), GOES)
def test_goes(engine: Deidentifier, clause: str, category: str, marked: str) -> None:
    pieces = marked.split("|")
    text = "".join(pieces)
    found = engine.spans(text)
    hidden = {k for span in found for k in range(span.start, span.end)}
    at = 0
    for number, piece in enumerate(pieces):
        if number % 2:
            seen = [k for k in range(at, at + len(piece)) if text[k].isalnum() and k not in hidden]
            assert not seen, f"{clause}: left visible"
            categories = {span.category for span in found if span.start < at + len(piece) and at < span.end}
            assert Category(category) in categories
        at += len(piece)
    assert engine.deidentify(text).text != text


@pytest.mark.parametrize("text", STAYS)
def test_stays(engine: Deidentifier, text: str) -> None:
    assert [(span.rule, text[span.start : span.end]) for span in engine.spans(text)] == []


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("DOB 3/14/1972", "DOB 1972"),
        ("DOB 3/14/1921", "DOB [DATE-1]"),
        ("seen 14 March", "seen [DATE-1]"),
        ("Salem, MA 01970", "[LOCATION-1], MA 019"),
        ("Burlington, VT 05901", "[LOCATION-1], VT 000"),
        ("a 93-year-old man", "a 90+-year-old man"),
        ("MRN 445566, again MRN 445566, not MRN 445567", "MRN [MRN-1], again MRN [MRN-1], not MRN [MRN-2]"),
    ],
)
def test_what_may_stay_of_it(engine: Deidentifier, text: str, becomes: str) -> None:
    result = engine.deidentify(text)
    assert (result.text, result.method) == (becomes, "safe-harbor")
