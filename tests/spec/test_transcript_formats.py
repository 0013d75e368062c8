"""Transcripts of others, as they come: what is read of each form, and what is refused."""

import json

import pytest

from osler.domain.transcript import Correction, SpeakerRole, SpeechModel, Transcript, Utterance, Word
from osler.errors import Malformed, TooLarge, UnsupportedMediaType
from osler.transcribe.formats import MAX_BYTES, from_json, read_transcript, to_json, to_webvtt
from osler.transcribe.formats.labels import role_of
from osler.transcribe.sniff import is_audio

C, P, O = SpeakerRole.CLINICIAN, SpeakerRole.PATIENT, SpeakerRole.OTHER  # noqa: E741

LABELS = [
    ("doctor", C),
    ("Dr. Smith", C),
    ("DR", C),
    ("Clinician", C),
    ("Nurse Practitioner", C),
    ("PA", C),
    ("Guest_clinician", C),
    ("patient", P),
    ("PT", P),
    ("Patient Jane Roe", P),
    ("Guest_family", O),
    ("patient_guest", O),
    ("Mother", O),
    ("Interpreter", O),
    ("Speaker 1", None),
    ("S2", None),
    ("Jane", None),
]


@pytest.mark.parametrize(("label", "role"), LABELS)
def test_what_a_label_tells(label: str, role: SpeakerRole | None) -> None:
    assert role_of(label) is role


FORMS = {
    "labels in brackets": (
        "[doctor] hi , martha . how are you ?\n[patient] i 'm fine , i do n't sleep .\n[doctor] okay .",
        [("S1", C, "hi , martha . how are you ?"), ("S2", P, "i 'm fine , i do n't sleep ."), ("S1", C, "okay .")],
    ),
    "labels with a colon": (
        "Doctor: How are you?\r\nPatient: My back hurts.\r\nGuest_family: She has been in bed.\r\n",
        [("S1", C, "How are you?"), ("S2", P, "My back hurts."), ("S3", O, "She has been in bed.")],
    ),
    "short labels, lines that go on, and empty lines": (
        "DR: How\nare you?\n\nPT: Fine.\n",
        [("S1", C, "How are you?"), ("S2", P, "Fine.")],
    ),
    "names of people are not kept": (
        "Jane Roe: My head hurts.\nDr. Poe: Since when?\nJane Roe: Since Monday, I have had a cough.\nDr. Poe: I see.",
        [
            ("S1", P, "My head hurts."),
            ("S2", C, "Since when?"),
            ("S1", P, "Since Monday, I have had a cough."),
            ("S2", C, "I see."),
        ],
    ),
    "numbered speakers": (
        "Speaker 1: I have had a cough.\nSpeaker 2: Do you have any fever?\nSpeaker 1: No.",
        [("S1", P, "I have had a cough."), ("S2", C, "Do you have any fever?"), ("S1", P, "No.")],
    ),
    "a colon in what is said": (
        "Doctor: Two things: rest and water.\nPlan: we repeat it.\nPatient: At 10:30?",
        [("S1", C, "Two things: rest and water. Plan: we repeat it."), ("S2", P, "At 10:30?")],
    ),
    "no labels": (
        "What brings you in today? I've been having chest pain for two days. Does it go to your arm? No, it doesn't.",
        [
            ("S1", C, "What brings you in today?"),
            ("S2", P, "I've been having chest pain for two days."),
            ("S1", C, "Does it go to your arm?"),
            ("S2", P, "No, it doesn't."),
        ],
    ),
    "WebVTT with voices": (
        "WEBVTT - title\n\nNOTE Jane Roe\n\nSTYLE\n::cue {}\n\nintro\n00:01.000 --> 00:02.000 align:start\n"
        "<v.loud Dr. Poe>How <i>are</i> you?</v>\n\n00:00:02.500 --> 00:00:04.000\n<v Jane>Fine &amp; well,"
        "\nI had a cough.\n",
        [("S1", C, "How are you?"), ("S2", P, "Fine & well, I had a cough.")],
    ),
    "WebVTT with labels": (
        "WEBVTT\n\n00:01.000 --> 00:02.000\nPatient: I have a cough.\n",
        [("S1", P, "I have a cough.")],
    ),
    "SubRip": (
        "1\r\n00:00:01,000 --> 00:00:02,500\r\nDoctor: Hello.\r\n\r\n2\r\n00:00:03,000 -->"
        " 00:00:04,000\r\nPatient: Hi.\r\n",
        [("S1", C, "Hello."), ("S2", P, "Hi.")],
    ),
    "JSON with utterances": (
        '{"utterances": [{"speaker": "A", "role": "clinician", "text": "Hello."}, {"speaker": "B", "role": "patient",'
        ' "text": "Hi.", "start": 1, "end": 2}]}',
        [("S1", C, "Hello."), ("S2", P, "Hi.")],
    ),
    "JSON with roles only": (
        '{"utterances": [{"role": "patient", "text": "Hello."}, {"role": "clinician", "text": "Hi."}]}',
        [("S1", P, "Hello."), ("S2", C, "Hi.")],
    ),
    "JSON of Whisper": (
        '{"task": "transcribe", "language": "english", "duration": 9.5, "segments": [{"id": 0, "start": 0, "end": 2,'
        ' "text": " What brings you in?"}, {"start": 3, "end": 5, "text": " I have had a cough."}]}',
        [("S1", C, "What brings you in?"), ("S2", P, "I have had a cough.")],
    ),
    "JSON of a diarising relative": (
        '[{"text": "I have had a cough.", "speaker": "SPEAKER_00"}, {"text": "Any fever?", "speaker": "SPEAKER_01"}]',
        [("S1", P, "I have had a cough."), ("S2", C, "Any fever?")],
    ),
    "JSON of others' words": (
        '{"transcript": [{"role": "doctor", "content": "Hello."}, {"role": "pt", "content": "Hi."}]}',
        [("S1", C, "Hello."), ("S2", P, "Hi.")],
    ),
    "JSON with a transcript inside": (
        '{"note": {}, "transcript": {"turns": [{"speaker_label": "Doctor", "utterance": "Hello."}]}}',
        [("S1", C, "Hello.")],
    ),
    "JSON around plain text": ('{"text": "Doctor: Hello.\\nPatient: Hi."}', [("S1", C, "Hello."), ("S2", P, "Hi.")]),
    "JSON, a line a turn": (
        '{"speaker": "doctor", "text": "Hello."}\n\n{"speaker": "patient", "text": "Hi."}\n',
        [("S1", C, "Hello."), ("S2", P, "Hi.")],
    ),
    "times before labels": (
        "[00:00:01] Doctor: Hello.\n(00:02.5 - 00:03) Patient: Hi.\n00:04 Speaker 3: So.\n[00:05]\nDoctor: Two\n"
        "10:30 is late.",
        [("S1", C, "Hello."), ("S2", P, "Hi."), ("S3", O, "So."), ("S1", C, "Two 10:30 is late.")],
    ),
    "times after labels": (
        "Doctor (00:01): Hello.\nSpeaker 2  0:03\nHi, I have a cough.\nDoctor [0:04]: So.",
        [("S1", C, "Hello."), ("S2", P, "Hi, I have a cough."), ("S1", C, "So.")],
    ),
    "labels on lines of their own": (
        "Clinician:\nAny fever?\n\nPatient:\nNo.\nNone at all.\n\nClinician:\nGood.\n",
        [("S1", C, "Any fever?"), ("S2", P, "No. None at all."), ("S1", C, "Good.")],
    ),
    "Markdown": (
        "**Doctor:** Any *new* fever?\n\n**Patient**: No.\n\n- __Doctor:__ Good.\n",
        [("S1", C, "Any *new* fever?"), ("S2", P, "No."), ("S1", C, "Good.")],
    ),
    "labels with a dash, a tab, round or angle brackets": (
        "Doctor - Any fever?\nPatient \u2013 No.\nDoctor\tSince when?\n(Patient) Monday.\n<Doctor> I see.\n"
        "(laughs) So.",
        [
            *(("S1", C, "Any fever?"), ("S2", P, "No."), ("S1", C, "Since when?"), ("S2", P, "Monday.")),
            ("S1", C, "I see. (laughs) So."),
        ],
    ),
    "titles": (
        "Dr. J. Poe: Any fever?\nMs. Roe: No.\nDr. J. Poe: A cough since [00:10] or 10:30?\nMs. Roe: I had a cough.",
        [
            *(("S1", C, "Any fever?"), ("S2", P, "No."), ("S1", C, "A cough since [00:10] or 10:30?")),
            ("S2", P, "I had a cough."),
        ],
    ),
    "a word before a colon in a cue": (
        "WEBVTT\n\n00:01.000 --> 00:02.000\nDoctor: Hello.\n\n00:02.000 --> 00:03.000\nPlease: two a day.\n",
        [("S1", C, "Hello."), ("S2", P, "Please: two a day.")],
    ),
    "control characters": ("Doctor: He\x1bllo\x07 there.", [("S1", C, "He llo there.")]),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_read(name: str) -> None:
    content, expected = FORMS[name]

    transcript = read_transcript(content.encode())

    assert [(u.speaker, u.role, u.text) for u in transcript.utterances] == expected
    assert [u.number for u in transcript.utterances] == list(range(1, len(expected) + 1))
    assert from_json(to_json(transcript)) == transcript


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(encoding: str) -> None:
    content = "Patient: Café.".encode(encoding)

    assert not is_audio(content)
    assert read_transcript(content).utterances[0].text == "Café."


def test_times_and_words_are_kept() -> None:
    content = {
        "language": "en",
        "segments": [
            {
                "start": 1.5,
                "end": 2.5,
                "text": "Hello there.",
                "speaker": "Doctor",
                "words": [
                    {"word": " Hello", "start": 1.5, "end": 2.0, "probability": 0.9},
                    {"word": " there.", "start": 2.0, "end": 2.5, "score": 0.8},
                ],
            }
        ],
    }

    (one,) = read_transcript(json.dumps(content).encode()).utterances

    assert (one.start_s, one.end_s) == (1.5, 2.5)
    assert one.words == (Word("Hello", 1.5, 2.0, 0.9), Word("there.", 2.0, 2.5, 0.8))


REFUSED = [
    (b"", Malformed, "no words"),
    (b"  \n \n", Malformed, "no words"),
    (b"Doctor:\nPatient:\n", Malformed, "no words"),
    (b"WEBVTT\n\nNOTE nothing\n", Malformed, "no cue"),
    (b'{"utterances": [', Malformed, "cannot be read"),
    (b"[{" * 100_000, Malformed, "cannot be read"),
    (b'{"a": ' * 100_000, Malformed, "cannot be read"),
    (b'{"report": "hello"}', Malformed, 'neither "utterances" nor "segments"'),
    (b'{"utterances": 7}', Malformed, 'neither "utterances" nor "segments"'),
    (b'{"utterances": [{"speaker": "A"}]}', Malformed, "an utterance of the JSON"),
    (b'{"utterances": [{"text": ["MARTHA"]}]}', Malformed, "an utterance of the JSON"),
    (b'{"utterances": [{"text": "a", "role": ["MARTHA"]}]}', Malformed, "an utterance of the JSON"),
    (b'{"utterances": [{"text": "a", "start": NaN}]}', Malformed, "an utterance of the JSON"),
    (b'{"utterances": [{"text": "a", "start": -1}]}', Malformed, "an utterance of the JSON"),
    (b'{"utterances": ["MARTHA"]}', Malformed, "an utterance of the JSON"),
    (b"\x00\x01\x02", UnsupportedMediaType, "not text"),
    (b"\xff\xd8\xff\xe0\x10JFIF\x01\x01", UnsupportedMediaType, "not text"),
    (b"Doctor: caf\x81", UnsupportedMediaType, "not text"),
    (b"a" * (MAX_BYTES + 1), TooLarge, "larger than 16 MiB"),
    (b"Doctor: a\nPatient: b\n" * 10_001, TooLarge, "at most 20000 utterances"),
    (b"Doctor: " + b"word " * 20_000, TooLarge, "at most 50000 characters"),
    (b"word " * 20_000, TooLarge, "put each turn on a line"),
    (b"a\n" * 4_000_000, TooLarge, "more than 200000 lines"),
    (b"Go. " * 4_000_000, TooLarge, "more than 60000 sentences"),
    (
        b"WEBVTT\n\n00:01.000 --> 00:02.000\n<v" + b".a" * 1_000_000 + b" " * 1_000_000,
        TooLarge,
        "put each turn on a line",
    ),
]


@pytest.mark.parametrize(("content", "error", "words"), REFUSED)
def test_refused_without_quoting(content: bytes, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as refused:
        read_transcript(content)

    assert words in str(refused.value)
    assert "MARTHA" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_what_we_write_is_read_again() -> None:
    transcript = Transcript(
        (
            Utterance(1, "S1", C, "Take <metformin> & rest.", 0.0, 3.25, (Word("Take", 0.0, 0.4, 0.98),)),
            Utterance(2, "S2", P, "When --> now?", 3661.5, 3662.0),
            Utterance(3, "S3", O, "Yes.", 3662.0, 3662.0),
        ),
        "en",
        SpeechModel("tiny.en", "1", "ab" * 32),
        (Correction(1, "metphormin", "metformin", "lexicon"),),
        ("1 part was left out: unlikely to be speech",),
        3700.5,
    )

    webvtt = to_webvtt(transcript)

    assert from_json(to_json(transcript)) == transcript
    assert webvtt.startswith(
        "WEBVTT\n\n1\n00:00:00.000 --> 00:00:03.250\n<v Clinician S1>Take &lt;metformin&gt; &amp; rest."
    )
    assert "01:01:01.500 --> 01:01:02.000" in webvtt
    assert [(u.role, u.text, u.start_s) for u in read_transcript(webvtt.encode()).utterances] == [
        (u.role, u.text, u.start_s) for u in transcript.utterances
    ]


def test_webvtt_needs_times() -> None:
    with pytest.raises(Malformed, match="has no times"):
        to_webvtt(Transcript((Utterance(1, "S1", C, "Hello."),)))


@pytest.mark.parametrize(
    "change",
    [
        {"utterances": None},
        {"model": {"name": "x"}},
        {"utterances": [{"number": 2, "speaker": "S1", "role": "patient", "text": "a", "start": None, "end": None}]},
        {"corrections": [{"heard": "a"}]},
    ],
)
def test_what_is_not_ours_is_not_read_as_ours(change: dict[str, object]) -> None:
    ours = json.loads(to_json(Transcript((Utterance(1, "S1", C, "Hello."),))))

    with pytest.raises(Malformed):
        from_json(json.dumps(ours | change))
