/**
 * Camera and microphone: open them, list them, listen to how loud it is.
 *
 * @typedef {import("./call.js").LocalTracks} LocalTracks
 * @typedef {import("./words.js").Words} Words
 *
 * @typedef {object} Wanted
 * @property {string | null} camera      device id, "" = any, null = none
 * @property {string | null} microphone  device id, "" = any, null = none
 * @property {number} width              ideal, pixels
 * @property {number} height             ideal, pixels
 * @property {boolean} processing        false leaves echo, noise and level as they are (music, test tones)
 */
import { deviceWords } from "./words.js";

/** @param {Wanted} wanted @returns {MediaTrackConstraints} */
export function cameraConstraints({ camera, width, height }) {
  const size = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30, max: 30 } };
  return camera ? { ...size, deviceId: { exact: camera } } : size;
}

/** @param {Wanted} wanted @returns {MediaTrackConstraints} */
function microphoneConstraints({ microphone, processing }) {
  const sound = { echoCancellation: processing, noiseSuppression: processing, autoGainControl: processing };
  return microphone ? { ...sound, deviceId: { exact: microphone } } : sound;
}

/** @param {unknown} error */
const nameOf = (error) => (error instanceof Error ? error.name : "Error");

/**
 * Open what is wanted: both at once, so that there is one question; where that fails each alone, so that a missing
 * camera does not cost the microphone. Never rejects.
 * @param {Wanted} wanted
 * @returns {Promise<LocalTracks & {problem: Words | null}>}
 */
export async function openDevices(wanted) {
  const video = wanted.camera === null ? undefined : cameraConstraints(wanted);
  const audio = wanted.microphone === null ? undefined : microphoneConstraints(wanted);
  if (!video && !audio) return { camera: null, microphone: null, problem: null };
  const what = [video && "camera", audio && "microphone"].filter(Boolean).join(" and ");
  if (!navigator.mediaDevices) {
    return { camera: null, microphone: null, problem: deviceWords("InsecureContext", what) };
  }
  const both = await open({ video, audio });
  if (both instanceof MediaStream) return { ...tracksOf(both), problem: null };
  // Refused is refused for both; asking again one by one would only ask twice.
  if (!video || !audio || both === "NotAllowedError") {
    return { camera: null, microphone: null, problem: deviceWords(both, what) };
  }
  const [camera, microphone] = [await open({ video }), await open({ audio })];
  return {
    camera: camera instanceof MediaStream ? tracksOf(camera).camera : null,
    microphone: microphone instanceof MediaStream ? tracksOf(microphone).microphone : null,
    problem: typeof camera === "string"
      ? deviceWords(camera, typeof microphone === "string" ? what : "camera")
      : typeof microphone === "string" ? deviceWords(microphone, "microphone") : null,
  };
}

/** @param {MediaStreamConstraints} constraints @returns {Promise<MediaStream | string>}  or the exception's name */
async function open(constraints) {
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    return nameOf(error);
  }
}

/** @param {MediaStream} stream @returns {LocalTracks} */
function tracksOf(stream) {
  return { camera: stream.getVideoTracks()[0] ?? null, microphone: stream.getAudioTracks()[0] ?? null };
}

/**
 * Devices to choose from. Before permission their names are empty.
 * @param {MediaDeviceKind} kind
 */
export async function listDevices(kind) {
  if (!navigator.mediaDevices) return [];
  return (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === kind && device.deviceId);
}

/**
 * Report how loud a microphone is, about as often as the screen is painted.
 * @param {MediaStreamTrack} track
 * @param {(level: number) => void} report  0 = silence (below -60 dBFS), 1 = full scale
 * @returns {() => void}  stops it
 */
export function meter(track, report) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let frame = 0;
  const look = () => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    report(Math.min(1, Math.max(0, 1 + (10 * Math.log10(power + 1e-12)) / 60)));
    frame = requestAnimationFrame(look);
  };
  look();
  return () => {
    cancelAnimationFrame(frame);
    void context.close();
  };
}
