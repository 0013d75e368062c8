// Handing in a recording or a transcript that is there already.

import { Refused, call, of, upload } from "./api.js";
import { byId } from "./dom.js";

/** Let the forms of the page send to an encounter, then lead on. */
export function handIn(encounter, next, say) {
  const audio = byId("audio-form");
  const transcript = byId("transcript-form");

  const send = (form, what) => async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    say("");
    try {
      await what();
      location.assign(next);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      say(error.message);
    } finally {
      button.disabled = false;
    }
  };

  audio.addEventListener(
    "submit",
    send(audio, async () => {
      const bar = byId("audio-progress");
      bar.hidden = false;
      await upload(of(encounter, "audio"), byId("audio").files[0], (share) => (bar.value = share));
    }),
  );
  transcript.addEventListener(
    "submit",
    send(transcript, async () => {
      const [file] = byId("transcript-file").files;
      const body = file ?? new Blob([byId("transcript").value]);
      if (!body.size) throw new Refused(400, "There is no transcript: write it, or choose its file.");
      await call("POST", of(encounter, "transcript"), { body, type: "application/octet-stream" });
    }),
  );
}
