// The microphone: slices of what it hears, and how loud that is.

const SLICE_MS = 1000;
const FORMS = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4", "audio/webm"];
const WORDS = {
  NotAllowedError: "The browser may not use the microphone. Allow it for this address, then try again.",
  NotFoundError: "There is no microphone on this computer.",
  NotReadableError: "The microphone is used by another program.",
};

/** Why no microphone can be had, in words. */
export class NoMicrophone extends Error {}

export class Microphone {
  /** Called with a Blob and its seconds. */
  onSlice = async () => {};
  /** Called when the microphone is gone without anybody having stopped it. */
  onLost = () => {};

  /** Called with what went wrong when a slice could not be taken. */
  onTrouble = () => {};

  #stream;
  #recorder;
  #context;
  #analyser;
  #samples;
  #recorded = 0;
  #since = 0;
  #told = 0;
  #writing = Promise.resolve();

  /** Open the microphone. */
  static async open() {
    if (!navigator.mediaDevices || typeof MediaRecorder === "undefined")
      throw new NoMicrophone("This browser records only where the address begins with https.");
    let stream;
    try {
      const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: true };
      stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      throw new NoMicrophone(WORDS[error.name] ?? "The microphone cannot be used.");
    }
    return new Microphone(stream);
  }

  constructor(stream) {
    this.#stream = stream;
    const form = FORMS.find((one) => MediaRecorder.isTypeSupported(one));
    this.#recorder = new MediaRecorder(stream, { mimeType: form, audioBitsPerSecond: 48000 });
    this.#recorder.ondataavailable = ({ data }) => this.#slice(data);
    stream.getAudioTracks()[0].onended = () => this.#recorder.state !== "inactive" && this.onLost();
    this.#context = new AudioContext();
    this.#analyser = this.#context.createAnalyser();
    this.#analyser.fftSize = 1024;
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#context.createMediaStreamSource(stream).connect(this.#analyser);
  }

  get type() {
    return this.#recorder.mimeType.split(";")[0];
  }

  /** Seconds since the start, without pauses. */
  get seconds() {
    const running = this.#recorder.state === "recording" ? performance.now() - this.#since : 0;
    return (this.#recorded + running) / 1000;
  }

  /** How loud it is, 0 to 1. */
  get level() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const power = this.#samples.reduce((sum, sample) => sum + sample * sample, 0) / this.#samples.length;
    return Math.min(1, Math.sqrt(power) * 3);
  }

  start() {
    this.#since = performance.now();
    this.#recorder.start(SLICE_MS);
  }

  /** Pause; resolves when what came before is kept. */
  async pause() {
    this.#recorded += performance.now() - this.#since;
    const last = new Promise((resolve) => this.#recorder.addEventListener("dataavailable", resolve, { once: true }));
    this.#recorder.pause();
    this.#recorder.requestData();
    await last;
    await this.#writing;
  }

  resume() {
    this.#since = performance.now();
    this.#recorder.resume();
  }

  /** Give out what was heard since the last slice. */
  flush() {
    if (this.#recorder.state === "recording") this.#recorder.requestData();
  }

  /** Stop and let go of the microphone; resolves when everything is kept. */
  async stop() {
    if (this.#recorder.state === "recording") this.#recorded += performance.now() - this.#since;
    if (this.#recorder.state !== "inactive") {
      const stopped = new Promise((resolve) => this.#recorder.addEventListener("stop", resolve, { once: true }));
      this.#recorder.stop();
      await stopped;
    }
    this.#stream.getTracks().forEach((track) => track.stop());
    await this.#context.close();
    await this.#writing;
  }

  #slice(data) {
    if (!data.size) return;
    const seconds = Math.max(0, this.seconds - this.#told);
    this.#told += seconds;
    this.#writing = this.#writing.then(() => this.onSlice(data, seconds)).catch((error) => this.onTrouble(error));
  }
}
