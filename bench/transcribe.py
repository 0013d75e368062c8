"""Word error rate by noise, CPU a minute of audio, and whether a stream keeps up, on one core.

    python bench/transcribe.py SPEECH MODEL... [--json]

SPEECH is a folder with recordings and ``labels.csv`` (file, text, speaker); those whose speaker begins with librivox,
cards or jfk are scored. MODEL is the folder of a Whisper model in CTranslate2's form. White noise is added at the
stated ratio to the speech of each recording.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from osler.domain.transcript import SpeechModel
from osler.transcribe.audio import RATE
from osler.transcribe.evaluate import NOISES_DB, Samples, errors, in_noise, name_of, read_spoken, wav, words
from osler.transcribe.models import check
from osler.transcribe.recognise import FasterWhisper, Recogniser
from osler.transcribe.streaming import Stream
from osler.transcribe.transcriber import transcribe

SCORED = ("librivox", "cards", "jfk")


def recordings(folder: Path) -> list[tuple[str, Samples, list[str]]]:
    scored = [one for one in read_spoken(folder) if one.group.startswith(SCORED)]
    return [(one.group.rstrip("0123456789"), one.samples(), words(one.text)) for one in scored]


def batch(ear: Recogniser, speech: list[tuple[str, Samples, list[str]]]) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for ratio in NOISES_DB:
        wrong: dict[str, list[int]] = {}
        began = time.process_time()
        for seed, (name, samples, expected) in enumerate(speech):
            heard = transcribe(wav(in_noise(samples, ratio, seed)), ear)
            count = errors(expected, words(" ".join(one.text for one in heard.utterances)))
            for key in (name, "all"):
                total = wrong.setdefault(key, [0, 0])
                total[0] += count
                total[1] += len(expected)
        spent = time.process_time() - began
        rows[name_of(ratio)] = {
            "wer": {key: round(100 * count / number, 1) for key, (count, number) in wrong.items()},
            "cpu_s": round(spent, 1),
        }
    return rows


def long_run(ear: Recogniser, speech: list[tuple[str, Samples, list[str]]]) -> dict[str, Any]:
    """Measure two minutes of connected speech: CPU a minute, and the stream as fast as it can be fed."""
    connected = np.concatenate([samples for name, samples, _ in speech if name != "cards"])
    samples = np.tile(connected, int(np.ceil(120 * RATE / len(connected))))[: 120 * RATE]
    began = time.process_time()
    transcribe(wav(samples), ear)
    cpu = (time.process_time() - began) / (len(samples) / RATE / 60)
    stream, late = Stream(ear), []
    started = time.perf_counter()
    for at in range(0, len(samples), RATE // 4):
        late += [stream.seconds - word.end_s for word in stream.feed(samples[at : at + RATE // 4]).stable]
    stream.finish()
    factor = (time.perf_counter() - started) / (len(samples) / RATE)
    return {
        "cpu_s_per_minute": round(cpu, 1),
        "stream_real_time_factor": round(factor, 2),
        "stable_after_s": {"median": round(float(np.median(late)), 1), "p95": round(float(np.percentile(late, 95)), 1)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    speech = recordings(asked.speech)
    minutes = sum(len(samples) for _, samples, _ in speech) / RATE / 60
    results: dict[str, Any] = {"recordings": len(speech), "minutes": round(minutes, 2), "models": {}}
    for folder in asked.models:
        check(folder)
        ear = FasterWhisper(folder, SpeechModel(folder.name, "", ""), threads=1)
        found = {"noise": batch(ear, speech), **long_run(ear, speech)}
        results["models"][folder.name] = found
        print(folder.name, json.dumps(found), file=sys.stderr)
    if asked.json:
        print(json.dumps(results))
        return
    for name, found in results["models"].items():
        stable = found["stable_after_s"]
        print(f"\n{name}: {found['cpu_s_per_minute']} CPU s a minute of audio; a stream takes")
        print(f"  {found['stream_real_time_factor']} of real time, words stable after", end=" ")
        print(f"{stable['median']} s (p95 {stable['p95']} s)")
        for noise, row in found["noise"].items():
            print(f"  {noise:6} WER % " + ", ".join(f"{key} {value}" for key, value in row["wer"].items()))


if __name__ == "__main__":
    main()
