"""Word error rate by noise, CPU a minute of audio, and whether a stream keeps up, on one core.

    python bench/transcribe.py SPEECH MODEL... [--json]

SPEECH is a folder with recordings and ``labels.csv`` (file, text, speaker); those whose speaker begins with librivox,
cards or jfk are scored. MODEL is the folder of a Whisper model in CTranslate2's form. White noise is added at the
stated ratio to the speech of each recording.
"""

import argparse
import csv
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osler.domain.transcript import SpeechModel
from osler.transcribe.audio import RATE, open_recording
from osler.transcribe.models import check
from osler.transcribe.recognise import FasterWhisper, Recogniser
from osler.transcribe.streaming import Stream
from osler.transcribe.transcriber import transcribe

SCORED = ("librivox", "cards", "jfk")
NOISES = (None, 20.0, 10.0, 5.0)
NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
SAME = {"mr": "mister", **{str(number): word for number, word in enumerate(NUMBERS)}}
Samples = npt.NDArray[np.float32]


def words(text: str) -> list[str]:
    return [SAME.get(word, word) for word in re.findall(r"[a-z0-9']+", text.lower().replace("-", " "))]


def wrong(expected: list[str], heard: list[str]) -> int:
    row = list(range(len(heard) + 1))
    for i, a in enumerate(expected, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(heard, 1):
            before, row[j] = row[j], min(before + (a != b), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def noisy(samples: Samples, ratio_db: float | None, seed: int) -> Samples:
    if ratio_db is None:
        return samples
    level = np.sqrt(np.square(samples).mean() / 10 ** (ratio_db / 10))
    added = np.random.default_rng(seed).standard_normal(len(samples)) * level
    return np.asarray((samples + added).clip(-1, 1), dtype=np.float32)


def wav(samples: Samples) -> bytes:
    data = (samples * 32767).astype("<i2").tobytes()
    head = b"RIFF" + (36 + len(data)).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    form = b"\x01\x00\x01\x00" + RATE.to_bytes(4, "little") + (2 * RATE).to_bytes(4, "little") + b"\x02\x00\x10\x00"
    return head + form + b"data" + len(data).to_bytes(4, "little") + data


def recordings(folder: Path) -> list[tuple[str, Samples, list[str]]]:
    found = []
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["text"] and row["speaker"].startswith(SCORED):
                recording = open_recording(folder / row["file"])
                samples = np.concatenate(list(recording.blocks(recording.tracks[0])))
                found.append((row["speaker"].rstrip("0123456789"), samples, words(row["text"])))
    return found


def batch(ear: Recogniser, speech: list[tuple[str, Samples, list[str]]]) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for ratio in NOISES:
        errors: dict[str, list[int]] = {}
        began = time.process_time()
        for seed, (name, samples, expected) in enumerate(speech):
            heard = transcribe(wav(noisy(samples, ratio, seed)), ear)
            count = wrong(expected, words(" ".join(one.text for one in heard.utterances)))
            for key in (name, "all"):
                total = errors.setdefault(key, [0, 0])
                total[0] += count
                total[1] += len(expected)
        spent = time.process_time() - began
        rows["clean" if ratio is None else f"{ratio:.0f} dB"] = {
            "wer": {key: round(100 * count / number, 1) for key, (count, number) in errors.items()},
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
