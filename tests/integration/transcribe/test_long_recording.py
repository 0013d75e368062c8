"""Three hours are transcribed in the memory of some minutes."""

import json
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np

from recordings import RATE, silence, tone

SCRIPT = """
import json, pathlib, resource, sys
sys.path.insert(0, sys.argv[1])
from recordings import ToneRecogniser, silence, wav
from osler.transcribe.transcriber import transcribe

ear = ToneRecogniser("Well.")
transcribe(wav(silence(60)), ear)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
transcript = transcribe(pathlib.Path(sys.argv[2]), ear)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
starts = [utterance.start_s for utterance in transcript.utterances]
print(json.dumps({"duration": transcript.duration_s, "grown_mb": grown, "starts": starts}))
"""


def test_a_recording_of_three_hours(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    word = (np.concatenate([tone(300, 0.24), silence(0.76)]) * 32767).astype("<i2").tobytes()
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        for _ in range(18):
            out.writeframes(bytes(2 * RATE * 599))
            out.writeframes(word)

    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parents[2]), str(path)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=300).stdout)

    assert found["duration"] == 3 * 3600
    assert [round(start) for start in found["starts"]] == [600 * number - 1 for number in range(1, 19)]
    assert found["grown_mb"] < 60  # the samples alone would be 690
