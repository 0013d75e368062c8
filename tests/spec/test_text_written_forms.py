"""45 CFR 164.514(b)(2)(i) as people write it: short, glued, misspelt, in tables; and the innocent text of each form."""

import pytest

from osler.deidentify.text import Category, Deidentifier

GOES = [
    # (what the row shows, category, text with the identifier between bars)
    ("plate after its label", "VEHICLE", "plate |KLM-4471| on a truck"),
    ("plate with its state first", "VEHICLE", "Plate: |MONT 6-41182|"),
    ("plate beside the car", "VEHICLE", "a white Silverado |7BX 221| at the scene"),
    ("plate before its state", "VEHICLE", "vehicle 2, |GHT 992| NV, fled"),
    ("plate of a short tag", "VEHICLE", "the car, a Civic, tag |JPR 4B7|"),
    ("plate with the state's name", "VEHICLE", "photo of plate: Colorado |BQT-V18|"),
    ("boat of another state", "VEHICLE", "Boat |MC 2204 TK| left at the dock"),
    ("boat", "VEHICLE", "jet ski reg |MN 4471 KD| was towed"),
    ("hull", "VEHICLE", "HIN |ABC45678D404|"),
    ("aircraft", "VEHICLE", "a Cessna, |N4471K|, landed short"),
    ("aircraft of a rescue", "VEHICLE", "airlifted by REACH, |N225LF|"),
    ("flight", "OTHER_ID", "came on flight |LH 423|"),
    ("road and its direction", "LOCATION", "has an apartment on |SE Foster|, second floor"),
    ("house on a numbered street", "LOCATION", "fell at home (|617 N. 9th|)"),
    ("house without a street word", "LOCATION", "picked up at |2801 Delmar|, alert"),
    ("corner", "LOCATION", "struck at |Fremont & 34th|"),
    ("corner of a job", "LOCATION", "jobsite |4th and Pike|"),
    ("corner of two names", "LOCATION", "intersection |Alder and Kessler|"),
    ("street alone", "LOCATION", "collapsed on |Main|, bystander helped"),
    ("highway", "LOCATION", "crashed on |rte 9| at noon"),
    ("rural box", "LOCATION", "mail to |HC 64 Box 117|"),
    ("rural box with a letter", "LOCATION", "mail to |Rt 4 Box 221-B|"),
    ("mobile home", "LOCATION", "VISIT AT |GREENBRIAR MOBILE EST|"),
    ("coordinates with letters", "LOCATION", "found at |47.5673 N|, |122.6329 W|"),
    ("feature", "LOCATION", "submerged in |Wayzata Bay| for a minute"),
    ("feature before its name", "LOCATION", "stationed at |Fort Drum| then"),
    ("distance from a town", "LOCATION", "3 mi S of |Kearney|, on gravel"),
    ("deployment", "LOCATION", "deployed to |Bagram| in 2011"),
    ("place with the kind before it", "LOCATION", "Daycare |Little Sprouts| called"),
    ("place in brackets", "LOCATION", "in memory care (|Arden Courts|)"),
    ("letterhead", "LOCATION", "Ann Roe, MD, FACC\n|Ridgeline Heart|\n"),
    ("sender of a fax", "LOCATION", "FROM: |Tidewater Ortho| FAX 757-555-0188"),
    ("firm", "LOCATION", "his lawyer at |Pfeiffer Lamb LLP|"),
    ("firm of before", "LOCATION", "an ex-|Google| engineer"),
    ("chain on its street", "LOCATION", "in the parking lot of the |Piggly Wiggly|"),
    ("reservation in lower case", "LOCATION", "lives in |tuba city|, |navajo nation|, no water"),
    ("places in capitals", "LOCATION", "RESIDES AT |SUNNY ACRES TRAILER PARK|, ALONE"),
    ("unusual word behind a preposition", "LOCATION", "brought in from |Chipeta| by friends"),
    ("school by its number", "LOCATION", "the nurse of |PS 118| called"),
    ("unusual word before a feature", "LOCATION", "rolled an ATV at |Pismo| dunes"),
    ("building", "LOCATION", "seen in |Tower 3| today"),
    ("congregation", "LOCATION", "married at |Our Lady of Sorrows|"),
    ("university, short", "LOCATION", "followed at |U of Iowa|"),
    ("military unit", "LOCATION", "served with |2nd Bn 5th Marines|"),
    ("hospital abroad", "LOCATION", "records of |Hospital Ángeles|, sent"),
    ("state road", "LOCATION", "crash on |SR 89A| today"),
    ("short name of a clinic", "LOCATION", "copy to |Cascade Renal|."),
    ("health system of a town", "LOCATION", "cracked. |Denver Health| medics came"),
    ("transfer arrow", "LOCATION", "|Rutland Regional| -> |Dartmouth|. SDH"),
    ("saint in lower case", "LOCATION", "seen @ |st marys| er"),
    ("cell", "LOCATION", "housed in cell |D4-118|"),
    ("ordinal alone", "DATE", "pain started the |5th|, worse by the |9th|"),
    ("weekday and day", "DATE", "appt |Mon 3rd| then |Wed 12th|"),
    ("short weekday", "DATE", "|Weds| fever, |Thurs| seen"),
    ("short weekday of a visit", "DATE", "oxygen delivered |Mon|."),
    ("month and short year", "DATE", "MI |11/98|, CABG |3/99|"),
    ("dotted day", "DATE", "LMP |9.12|, EDC |6.19|"),
    ("dotted month", "DATE", "Tdap |08.2019|"),
    ("dashed day of a period", "DATE", "LMP |5-28|."),
    ("day and month, glued", "DATE", "launched |03Nov|"),
    ("day after a procedure", "DATE", "ORIF |12/3|, washout |12/5|"),
    ("day after a heading", "DATE", "Camp physical |6/1|: healthy"),
    ("day after brackets", "DATE", "to rehab (north) |7/12|. mRS 2."),
    ("weekday and short month", "DATE", "fall |Weds 4/10| near home"),
    ("dash and clock", "DATE", "0300 |6-17|: pulled the line"),
    ("dash before a clock", "DATE", "assaulted |4-19 at 1015|."),
    ("weekday of a night", "DATE", "tightness |Sat| night"),
    ("weekday of a missed visit", "DATE", "Missed |Mon|."),
    ("month in lower case", "DATE", "rtc |march|."),
    ("Spanish date", "DATE", "visto el |15 de marzo|, |ene. 2023|"),
    ("evening of an ordinal", "DATE", "on the evening of the |30th|?"),
    ("spoken birth date", "DATE", "D.O.B.: |Eleven, twelve, fifty-eight|"),
    ("spoken year", "DATE", "married |June 12th, nineteen eighty|"),
    ("clock behind the date", "DATE", "Dictated: |03-11-24| 0832 hrs"),
    ("holiday by its nickname", "DATE", "rash since |St. Paddy's Day|"),
    ("scanned digits", "DATE", "Adm |I2-O1-2O21|"),
    ("number of a chart", "MRN", "MR |00-44-21-9|"),
    ("number of an old chart", "MRN", "legacy chart |881-20|"),
    ("Medicaid client", "HEALTH_PLAN", "Medicaid CIN |AB12345C|"),
    ("card in groups", "HEALTH_PLAN", "ID |XEA 8841 22 019 01|"),
    ("number with slashes", "SSN", "SSN |412 / 55 / 9003|"),
    ("number in two groups", "SSN", "SSN of the patient, then of the wife: |2120 94419|"),
    ("last four of a child", "SSN", "Last four of child: |7781|"),
    ("last four with a letter", "SSN", "SSN last4 |T4471|"),
    ("beneficiary with spaces", "HEALTH_PLAN", "Medicare |4KD7 RM2 HV88|"),
    ("payer and groups", "HEALTH_PLAN", "Insurance: Molina |MHC 2088 4417|"),
    ("card by its end", "ACCOUNT", "cc ending |0917|"),
    ("lot, mixed", "DEVICE", "knee, lot |K8RT2|"),
    ("lead in groups", "DEVICE", "DF4 lead |CPS 220418|"),
    ("serial, shortened", "DEVICE", "pacer ser |RNB224471H|"),
    ("pair of serials", "DEVICE", "hearing aids |2204X7712/2204X7713|"),
    ("claim in groups", "OTHER_ID", "claim |C-28 441 209|"),
    ("specimen with a colon", "OTHER_ID", "specimen |SP24:00881|"),
    ("code of a gate", "OTHER_ID", "gate code |4471#|"),
    ("code of a door", "OTHER_ID", "Code |7714| for the door"),
    ("receipt", "OTHER_ID", "tow receipt |00182|"),
    ("work telephone", "PHONE", "wk |555.0133|, hm |555.0134|"),
    ("pager with a dash", "PHONE", "pager |31-4471|"),
    ("initials after work done", "NAME", "Gross by |ML|."),
    ("initials of a transcript", "NAME", "Read: |hjt|."),
    ("initials at the end", "NAME", "please recheck the K. -|tk|"),
    ("initial before a name", "NAME", "cc: |P Raghunathan|; file"),
    ("initial after a name", "NAME", 'labelled "|Kowalczyk, B|"'),
    ("log-in of a nurse", "NAME", "2200 |m.santos| rn: refused"),
    ("virtue", "NAME", "I told |Faith| I cannot"),
    ("surgeon in capitals", "NAME", "Surgeon |MBEKI|. Tourniquet on"),
    ("lower case in a row", "NAME", "bed 15 |washington d|., stable"),
    ("siblings", "NAME", "two sibs |Zion| 4 and |Nevaeh| 6"),
    ("kin in brackets", "NAME", "contacts: |Arjun| (son), phone below"),
    ("kin in capitals", "NAME", "DAUGHTER |YESENIA| PRESENT"),
    ("row of a list", "NAME", "412 |Haverford| d/c today"),
    ("row of a log", "NAME", "10:05 |Quiñones, Mayra| lac to index"),
    ("age turned on a day", "AGE", "he turns |93| on Flag Day"),
    ("age in bare kin", "AGE", "MGF |101| still living"),
]

STAYS = [
    "LCP plate 8 holes, volar plate 12 mm, growth plate 24 months, plate 3 of 5",
    "skin tag 12 mm, regular rate, license to drive, lic unknown",
    "pilot study n=20, the truck was going 45 mph, car seat 20 lb",
    "a boat-shaped abdomen, 20 cm",
    "on SE stimulation, at T12 and L1, the 3rd and 4th toes, 2nd & 3rd digits",
    "Beach chair position, Valley fever, River virus, Lake Louise score 3",
    "from Ohio, from Mexico, speaks Vietnamese, on Fridays, in English",
    "seen in clinic, transferred to ICU, discharged to home, sent to lab",
    "murmur at LUSB and at RUSB, transferred from OSH to MICU",
    "Pharmacy notified, Wing scapula, School excused, Store at room temperature",
    "chronic pain (Moderate), home (stable), rehab (subacute)",
    "pain started the day before, the 5th rib, on the 3rd toe, the 90th percentile",
    "every Mon, Wed and Fri; M/W/F; T/Th/Sat",
    "20/40 vision, pain 5/10, strength 4/5, Suboxone 8/2, M-CHAT 1/20",
    "start 2.5, Cr 1.2, weeks 6-14, repeat 5-15, ages 9-27",
    "SNOMED 73211009, time 1430-1515, 0800 120/80 72, 1600 118/76 70",
    "seen by me, checked by RN, signed by MD, read: negative, thanks all",
    "PS 10 over 5, gravida 2, code blue, pin site clean, run 4 miles, log roll",
    "Vitamin K, hepatitis B, type B, Garden II, vitamin D.",
    "MOTHER STABLE, PATIENT WILL FOLLOW, PT AMBULATED, SON PRESENT",
    "12 Fr Foley, 22 Fr Councill, Circle of Willis, Bruce stage 4, Duke 6",
    "lot of pain, lots 2 of 3, cell count 450, pump at 12, lead II, icd 10 code",
    "Shingrix 2/2, SR 80s, in sinus rhythm, hospital day 3, Hospital Course stable, home health to follow",
    "level 2 trauma, sun exposure, sat 97 % at night, the patient may march in place",
    "10 pack-yr, CO 4.4, echo today, ME notified",
    "hearing aids both, valve in place, lens clear, stent patent, implant stable",
]


@pytest.fixture(scope="module")
def engine() -> Deidentifier:
    """Return one engine for all."""
    return Deidentifier()


@pytest.mark.parametrize(("shows", "category", "marked"), GOES)
def test_goes(engine: Deidentifier, shows: str, category: str, marked: str) -> None:
    pieces = marked.split("|")
    text = "".join(pieces)
    found = engine.spans(text)
    hidden = {k for span in found for k in range(span.start, span.end)}
    at = 0
    for number, piece in enumerate(pieces):
        if number % 2:
            seen = [k for k in range(at, at + len(piece)) if text[k].isalnum() and k not in hidden]
            assert not seen, f"{shows}: left visible"
            categories = {span.category for span in found if span.start < at + len(piece) and at < span.end}
            assert Category(category) in categories, shows
        at += len(piece)


@pytest.mark.parametrize("text", STAYS)
def test_stays(engine: Deidentifier, text: str) -> None:
    assert [(span.rule, text[span.start : span.end]) for span in engine.spans(text)] == []
