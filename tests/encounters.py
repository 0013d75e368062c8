"""Encounters of nobody, for tests of drafts and their gate."""

from osler.domain.note import Draft, DraftAuthor, Evidence, Section, Statement, Topic
from osler.domain.transcript import DeidentifiedTranscript, DeidentifiedUtterance, SpeakerRole

_ROLES = {"D": SpeakerRole.CLINICIAN, "P": SpeakerRole.PATIENT, "O": SpeakerRole.OTHER}

KNEE = """\
D: good morning , what brings you in today ?
P: my right knee has been hurting for about three weeks now
D: okay , did you injure it ?
P: I twisted it when I was playing tennis , and I heard a pop
D: have you taken anything for the pain ?
P: I take ibuprofen 600 milligrams twice a day , and I put ice on it
D: any numbness or tingling in the foot ?
P: no
D: and do you have any other medical problems ?
P: I have high blood pressure , I take lisinopril for that , and I'm allergic to penicillin
D: alright , let me have a look . there is some swelling of the right knee and tenderness along the medial joint line
D: your blood pressure is one thirty two over eighty four
D: I think you may have a meniscus tear , so I'm going to order an mri of the right knee
D: I want you to stop the ibuprofen and start meloxicam 15 milligrams once a day
D: and I'll refer you to physical therapy . let's see you again in four weeks , okay ?
P: sounds good , thank you"""

KNEE_NOTE = """\
CHIEF COMPLAINT

Right knee pain.

HISTORY OF PRESENT ILLNESS

The patient has had right knee pain for 3 weeks. It started when he twisted it playing tennis, and he heard a pop.
He takes ibuprofen 600 mg bid and applies ice. He denies numbness or tingling in the foot.

PAST MEDICAL HISTORY

Hypertension, on lisinopril.

ALLERGIES

Penicillin.

PHYSICAL EXAM

Blood pressure 132/84.
Right knee: swelling, tenderness along the medial joint line.

ASSESSMENT AND PLAN

Possible meniscus tear of the right knee.
- Order MRI of the right knee.
- Stop ibuprofen. Start meloxicam 15 mg daily.
- Referral to physical therapy.
- Follow up in 4 weeks."""

STOMACH = """\
D: hi , I understand you have had some trouble with your stomach ?
P: yeah , I've had this burning pain in my belly after meals for two months
D: have you had any nausea or vomiting ?
P: some nausea , but no vomiting
D: any black stools or blood in your stool ?
P: no , nothing like that
D: and your weight ?
P: I have lost about ten pounds without trying
D: what medicines do you take ?
P: metformin for my diabetes , a thousand milligrams twice a day , and aspirin
D: do you smoke ?
P: no , I quit five years ago
D: on exam you have mild tenderness in the upper abdomen , no guarding
D: I suspect a stomach ulcer . I'd like to schedule an endoscopy and start you on omeprazole 40 milligrams every morning
D: please stop the aspirin for now
P: okay"""

STOMACH_NOTE = """\
HISTORY

The patient reports burning abdominal pain after meals for 2 months with some nausea. She denies vomiting, melena, and
hematochezia. She has lost 10 pounds. She has diabetes and takes metformin 1000 mg twice daily and aspirin.

EXAM

Mild tenderness in the upper abdomen without guarding.

PLAN

Suspected stomach ulcer. Schedule endoscopy. Start omeprazole 40 mg daily. Stop aspirin."""


def heard(text):
    """Return a transcript of lines that begin with ``D:``, ``P:`` or ``O:``."""
    return DeidentifiedTranscript(
        tuple(
            DeidentifiedUtterance(number, line[0], _ROLES[line[0]], line[3:])
            for number, line in enumerate(text.splitlines(), start=1)
        )
    )


def draft_of(*statements):
    """Return a draft of ``(text, utterance, quote)`` or ``(text, utterance, quote, topic)``."""
    made = tuple(
        Statement(f"s{number}", row[0], (Evidence(row[1], row[2]),), row[3] if len(row) > 3 else Topic.HISTORY)
        for number, row in enumerate(statements, start=1)
    )
    return Draft("soap", (Section("note", "Note", "11506-3", made),), DraftAuthor("extractive", "test", "1"))


def verbatim_draft(transcript):
    """Return a draft that has what was said, as it was said."""
    return draft_of(
        *((said.text, said.number, said.text) for said in transcript.utterances if not said.text.endswith("?"))
    )
