"""Questions and their answers: what the answer makes of what was asked, and what a note may then say of it.

Each row is a topic, a question, an answer, statements that must pass and statements that must not. A statement may
start with another topic's letter and a colon.
"""

import pytest

from osler.domain.note import Draft, DraftAuthor, Evidence, Section, Statement, Topic
from osler.domain.transcript import DeidentifiedTranscript, DeidentifiedUtterance, SpeakerRole
from osler.draft.gate import check

_TOPICS = {
    "A": Topic.ALLERGIES,
    "M": Topic.MEDICATIONS,
    "S": Topic.PAST_SURGICAL,
    "F": Topic.FAMILY_SOCIAL,
    "R": Topic.REVIEW_OF_SYSTEMS,
    "P": Topic.PAST_MEDICAL,
}

ANSWERS = [
    (
        "A",
        "Any allergies?",
        "Penicillin. I get a rash from it.",
        ["Allergies: Penicillin.", "Penicillin causes a rash.", "Allergic to penicillin (rash)."],
        [
            "No known drug allergies.",
            "Allergies: Sulfa.",
            "No penicillin allergy.",
            "M:Penicillin.",
            "M:The patient takes penicillin.",
        ],
    ),
    (
        "A",
        "Any allergies?",
        "No.",
        ["No known allergies.", "NKDA.", "The patient denies allergies."],
        ["The patient has allergies.", "Allergic to penicillin."],
    ),
    (
        "A",
        "Any allergies?",
        "None that I know of.",
        ["No known allergies.", "Allergies: none known."],
        ["Allergies: penicillin.", "The patient has allergies."],
    ),
    (
        "A",
        "Do you have any allergies to medications?",
        "Sulfa drugs, and codeine makes me itch.",
        ["Allergies: sulfa, codeine.", "Codeine causes itching."],
        ["No known drug allergies.", "M:The patient takes codeine.", "No allergy to codeine."],
    ),
    (
        "A",
        "Are you allergic to anything?",
        "Not that I know of.",
        ["No known allergies."],
        ["The patient is allergic."],
    ),
    (
        "A",
        "Are you allergic to anything?",
        "Just amoxicillin.",
        ["Allergic to amoxicillin.", "Allergies: Amoxicillin."],
        ["No known allergies.", "M:Amoxicillin."],
    ),
    (
        "A",
        "Any allergies to penicillin?",
        "No, but I am allergic to sulfa.",
        ["No penicillin allergy.", "Allergic to sulfa."],
        ["Allergic to penicillin."],
    ),
    (
        "A",
        "Any drug allergies?",
        "Yes, aspirin. I come out in hives.",
        ["Allergies: aspirin (hives).", "Allergic to aspirin."],
        ["NKDA.", "M:Takes aspirin."],
    ),
    (
        "A",
        "What are you allergic to?",
        "Penicillin and latex.",
        ["Allergies: penicillin, latex."],
        ["No known allergies.", "Allergies: morphine."],
    ),
    (
        "M",
        "Do you take any medicines?",
        "Metformin and lisinopril.",
        ["Metformin.", "Medications: metformin, lisinopril.", "The patient takes metformin and lisinopril."],
        [
            "The patient takes no medicines.",
            "The patient does not take metformin.",
            "Medications: warfarin.",
            "A:Metformin.",
            "Allergic to lisinopril.",
        ],
    ),
    (
        "M",
        "Are you on any medications?",
        "No, nothing.",
        ["The patient takes no medications.", "No medications."],
        ["The patient is on medications.", "The patient takes aspirin."],
    ),
    (
        "M",
        "Are you taking anything for it?",
        "Just ibuprofen.",
        ["The patient takes ibuprofen."],
        ["The patient takes no ibuprofen.", "The patient takes naproxen."],
    ),
    (
        "M",
        "Do you take any blood thinners?",
        "Warfarin, five milligrams.",
        ["Warfarin 5 mg.", "The patient takes warfarin 5 mg."],
        ["Warfarin 10 mg.", "The patient takes no blood thinners.", "The patient does not take warfarin."],
    ),
    (
        "M",
        "Do you take any blood thinners?",
        "No, just aspirin.",
        ["The patient takes aspirin.", "The patient takes no blood thinners."],
        ["The patient takes warfarin.", "The patient does not take aspirin."],
    ),
    (
        "M",
        "Are you still taking the metformin?",
        "I stopped it in March.",
        ["Metformin was stopped in March."],
        ["The patient takes metformin.", "Continue metformin."],
    ),
    (
        "M",
        "Do you take the metoprolol every day?",
        "Yes, every morning.",
        ["The patient takes metoprolol every morning."],
        ["The patient does not take metoprolol."],
    ),
    (
        "M",
        "What medications are you on?",
        "Amlodipine ten milligrams once a day.",
        ["Amlodipine 10 mg daily."],
        ["Amlodipine 5 mg daily.", "No medications."],
    ),
    (
        "M",
        "Any regular medication?",
        "Ramipril.",
        ["Ramipril."],
        ["No regular medication.", "The patient does not take ramipril.", "Metformin."],
    ),
    (
        "S",
        "Any surgeries?",
        "Appendix out in 2010.",
        ["Appendix out in 2010.", "Surgeries: appendix out in 2010."],
        ["No surgeries.", "Appendix out in 2012.", "No prior surgeries."],
    ),
    (
        "S",
        "Have you had any operations?",
        "Knee replacement on the left.",
        ["Left knee replacement."],
        ["Right knee replacement.", "No operations.", "The patient has not had a knee replacement."],
    ),
    ("S", "Any surgeries?", "None.", ["No surgeries.", "No prior surgeries."], ["The patient has had surgeries."]),
    (
        "S",
        "Any previous surgery?",
        "Gallbladder, five years ago.",
        ["Gallbladder surgery 5 years ago."],
        ["No previous surgery.", "Gallbladder surgery 6 years ago."],
    ),
    (
        "S",
        "Ever been in the hospital?",
        "Only for pneumonia, last year.",
        ["Hospital for pneumonia last year."],
        ["Never in the hospital.", "Hospital for appendicitis last year."],
    ),
    (
        "F",
        "Does anything run in the family?",
        "My mother has diabetes.",
        ["Mother has diabetes.", "Family history of diabetes."],
        ["The patient has diabetes.", "Father has diabetes.", "No family history of diabetes."],
    ),
    (
        "F",
        "Any family history of heart disease?",
        "My father had a heart attack at fifty.",
        ["Father had a heart attack at 50."],
        ["Mother had a heart attack at 50.", "The patient had a heart attack.", "Father had a heart attack at 60."],
    ),
    (
        "F",
        "Any cancer in the family?",
        "No.",
        ["No family history of cancer.", "No cancer in the family."],
        ["Family history of cancer.", "Cancer in the family."],
    ),
    (
        "F",
        "Any cancer in the family?",
        "Breast cancer, my aunt.",
        ["Aunt had breast cancer."],
        ["The patient has breast cancer.", "No family history of cancer."],
    ),
    (
        "F",
        "Is there diabetes in your family?",
        "Yes, my brother.",
        ["Brother has diabetes.", "Family history of diabetes."],
        ["The patient has diabetes.", "No family history of diabetes."],
    ),
    (
        "F",
        "Do you smoke?",
        "A pack a day.",
        ["Smokes a pack a day.", "The patient smokes 1 pack a day."],
        ["The patient does not smoke.", "Smokes 2 packs a day."],
    ),
    (
        "F",
        "Do you smoke?",
        "Not anymore. I quit ten years ago.",
        ["The patient quit smoking 10 years ago.", "The patient does not smoke."],
        ["The patient smokes.", "Quit smoking 5 years ago."],
    ),
    ("F", "Do you smoke?", "Never.", ["Never smoked.", "The patient does not smoke."], ["The patient smokes."]),
    (
        "F",
        "Do you smoke or drink?",
        "I don't smoke. I drink a glass of wine on weekends.",
        ["The patient does not smoke.", "The patient drinks a glass of wine on weekends."],
        ["The patient smokes.", "The patient does not drink wine."],
    ),
    (
        "F",
        "Any alcohol?",
        "Two beers a week.",
        ["Alcohol: 2 beers a week."],
        ["No alcohol.", "Drinks 4 beers a week.", "Does not drink alcohol."],
    ),
    ("F", "Any alcohol?", "No, I don't drink.", ["No alcohol.", "Does not drink alcohol."], ["Drinks alcohol."]),
    ("F", "Any drugs?", "Marijuana sometimes.", ["Marijuana sometimes."], ["No drugs.", "No marijuana."]),
    (
        "R",
        "Any chest pain?",
        "No.",
        ["No chest pain.", "Denies chest pain."],
        ["Chest pain.", "The patient reports chest pain."],
    ),
    (
        "R",
        "Any chest pain?",
        "No, but I do get dizzy.",
        ["Denies chest pain.", "The patient gets dizzy.", "Dizziness."],
        ["The patient has chest pain.", "No dizziness.", "The patient does not get dizzy."],
    ),
    (
        "R",
        "Any chest pain or shortness of breath?",
        "No chest pain, but I get short of breath on the stairs.",
        ["No chest pain.", "Short of breath on the stairs."],
        ["Chest pain.", "No shortness of breath."],
    ),
    (
        "R",
        "Any fever or chills?",
        "Fever yes, chills no.",
        ["Fever.", "No chills.", "Fever but no chills."],
        ["No fever.", "Chills.", "The patient reports chills."],
    ),
    (
        "R",
        "Any fever?",
        "No. Wait, actually yes, since Monday.",
        ["Fever since Monday.", "The patient has a fever."],
        ["No fever.", "Denies fever."],
    ),
    ("R", "Any fever?", "Yes. No wait, that was last month. No fever now.", ["No fever now."], []),
    (
        "R",
        "Any nausea or vomiting?",
        "A bit of nausea, no vomiting.",
        ["Nausea.", "No vomiting."],
        ["No nausea.", "Vomiting."],
    ),
    ("R", "Any headaches?", "Yeah, every morning.", ["Headaches every morning."], ["No headaches."]),
    ("R", "Any headaches?", "Every morning.", ["Headaches every morning."], ["No headaches.", "Denies headaches."]),
    (
        "R",
        "Any weight loss?",
        "Ten pounds in two months.",
        ["Weight loss of 10 pounds in 2 months."],
        ["No weight loss.", "Weight loss of 20 pounds."],
    ),
    (
        "R",
        "Have you had a cough?",
        "On and off.",
        ["Cough on and off.", "The patient has a cough."],
        ["No cough.", "Denies cough."],
    ),
    ("R", "Any blood in your stool?", "Not that I noticed.", ["No blood in stool."], ["Blood in stool."]),
    (
        "R",
        "Any swelling?",
        "In my left ankle.",
        ["Swelling in the left ankle."],
        ["No swelling.", "Swelling in the right ankle."],
    ),
    ("R", "Are you sleeping well?", "Not really.", [], ["The patient is sleeping well."]),
    (
        "R",
        "Does it hurt when you breathe?",
        "Only when I breathe in deep.",
        ["It hurts when breathing in deep."],
        ["It does not hurt when breathing in."],
    ),
    ("R", "Have you had any fevers?", "I don't think so.", ["No fever."], ["Fever.", "The patient has had fevers."]),
    ("R", "Any numbness?", "Maybe a little in my toes.", ["Possible numbness in the toes."], ["No numbness."]),
    ("R", "Any palpitations?", "I'm not sure.", [], ["No palpitations.", "The patient has palpitations."]),
    ("R", "Any palpitations?", "What do you mean?", [], ["No palpitations.", "Palpitations."]),
    ("R", "No chest pain?", "No.", ["No chest pain."], ["Chest pain."]),
    ("R", "And no fever?", "No, I did have a fever on Sunday.", ["Fever on Sunday."], []),
    (
        "P",
        "Any medical problems?",
        "High blood pressure and asthma.",
        ["Hypertension and asthma."],
        ["No medical problems.", "The patient does not have asthma.", "Diabetes."],
    ),
    ("P", "Do you have diabetes?", "Type two.", ["Type 2 diabetes."], ["No diabetes.", "Type 1 diabetes."]),
    ("P", "Any history of asthma?", "As a child.", ["History of asthma as a child."], ["No history of asthma."]),
    ("P", "Have you ever had a stroke?", "No, thank God.", ["No history of stroke."], ["History of stroke."]),
    ("P", "Any other medical problems?", "Nothing else.", ["No other medical problems."], ["Other medical problems."]),
    (
        "P",
        "Are you up to date on your vaccines?",
        "Yes, flu shot in October.",
        ["Flu shot in October."],
        ["No flu shot."],
    ),
    (
        "F",
        "Do you still smoke?",
        "No, I quit ten years ago.",
        ["Quit smoking 10 years ago.", "The patient does not smoke."],
        ["The patient smokes."],
    ),
    (
        "M",
        "Are you still on metformin?",
        "No, I stopped it.",
        ["The patient does not take metformin.", "Metformin was stopped."],
        ["The patient takes metformin."],
    ),
    (
        "R",
        "Were you able to keep playing?",
        "No, I had to stop.",
        ["The patient was not able to keep playing."],
        ["The patient was able to keep playing."],
    ),
]
RIGHT = [(topic, question, answer, one) for topic, question, answer, right, _ in ANSWERS for one in right]
WRONG = [(topic, question, answer, one) for topic, question, answer, _, wrong in ANSWERS for one in wrong]


def _verdict(topic, question, answer, text, cites):
    if text[1] == ":":
        topic, text = text[0], text[2:]
    transcript = DeidentifiedTranscript(
        (
            DeidentifiedUtterance(1, "D", SpeakerRole.CLINICIAN, "How are you today?"),
            DeidentifiedUtterance(2, "P", SpeakerRole.PATIENT, "I am all right, thank you."),
            DeidentifiedUtterance(3, "D", SpeakerRole.CLINICIAN, question),
            DeidentifiedUtterance(4, "P", SpeakerRole.PATIENT, answer),
        )
    )
    evidence = tuple(Evidence(number, transcript.utterances[number - 1].text) for number in cites)
    section = Section("s", "S", "1-8", (Statement("s1", text, evidence, _TOPICS[topic]),))
    return check(Draft("soap", (section,), DraftAuthor("x", "x", "1")), transcript).verdicts["s1"]


@pytest.mark.parametrize("cites", [(3, 4), (4,)])
@pytest.mark.parametrize(("topic", "question", "answer", "text"), RIGHT)
def test_what_was_answered_passes(topic, question, answer, text, cites):
    assert _verdict(topic, question, answer, text, cites).reasons == ()


@pytest.mark.parametrize("cites", [(3, 4), (4,)])
@pytest.mark.parametrize(("topic", "question", "answer", "text"), WRONG)
def test_what_was_not_answered_fails(topic, question, answer, text, cites):
    assert _verdict(topic, question, answer, text, cites).reasons != ()
