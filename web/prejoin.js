/**
 * The screen before the call: a name, devices with a picture and a level, and Join.
 *
 * @typedef {import("./call.js").LocalTracks} LocalTracks
 * @typedef {import("./devices.js").Wanted} Wanted
 * @typedef {{room: string, name: string, tracks: LocalTracks}} Entry
 */
import { listDevices, meter, openDevices } from "./devices.js";
import { button, element, showSwitch } from "./dom.js";

export class PreJoin {
  #form = element("join-form", HTMLFormElement);
  #video = element("preview", HTMLVideoElement);
  #words = element("preview-words", HTMLElement);
  #problem = element("device-problem", HTMLElement);
  #camera = element("camera", HTMLSelectElement);
  #microphone = element("microphone", HTMLSelectElement);
  #level = element("level", HTMLElement);
  #bar = element("level-bar", HTMLElement);
  /** @type {LocalTracks} */
  #tracks = { camera: null, microphone: null };
  /**
   * what the person switched on
   * @type {{camera: boolean, microphone: boolean}}
   */
  #on = { camera: true, microphone: true };
  #stopMeter = () => {};
  #opening = 0;
  #wanted;
  #done;

  /**
   * @param {Wanted} wanted
   * @param {(entry: Entry) => void} done  takes over the tracks
   */
  constructor(wanted, done) {
    this.#wanted = { ...wanted };
    this.#done = done;
    this.#form.onsubmit = (event) => {
      event.preventDefault();
      this.#submit();
    };
    this.#camera.onchange = () => this.#choose("camera", this.#camera.value);
    this.#microphone.onchange = () => this.#choose("microphone", this.#microphone.value);
    button("preview-cam").onclick = () => this.#toggle("camera");
    button("preview-mic").onclick = () => this.#toggle("microphone");
    button("device-retry").onclick = () => void this.#open();
  }

  /**
   * @param {string} room  "" = to be asked for
   * @param {string} name
   * @param {boolean} granted  room and name are in the invitation
   */
  start(room, name, granted) {
    const roomInput = element("room", HTMLInputElement);
    const nameInput = element("name", HTMLInputElement);
    roomInput.value = room;
    nameInput.value = name;
    element("room-field", HTMLElement).hidden = granted || room !== "";
    element("name-field", HTMLElement).hidden = granted;
    roomInput.required = !granted;
    nameInput.required = !granted;
    const line = room ? `Room “${room}”` : "Choose a room; who opens the same one is with you.";
    element("room-line", HTMLElement).textContent = line;
    (granted ? button("join") : room ? nameInput : roomInput).focus();
    void this.#open();
  }

  #submit() {
    this.#stopMeter();
    this.#opening += 1;
    this.#video.srcObject = null;
    this.#done({
      room: element("room", HTMLInputElement).value.trim(),
      name: element("name", HTMLInputElement).value.trim(),
      tracks: this.#tracks,
    });
  }

  /**
   * @param {"camera" | "microphone"} device
   * @param {string} id
   */
  #choose(device, id) {
    this.#wanted[device] = id;
    this.#on[device] = true;
    void this.#open();
  }

  /** @param {"camera" | "microphone"} device */
  #toggle(device) {
    this.#on[device] = !(this.#on[device] && this.#tracks[device]);
    void this.#open();
  }

  /** Open what is on; stop what was open. */
  async #open() {
    const turn = ++this.#opening;
    this.#stopMeter();
    this.#stopMeter = () => {};
    for (const track of Object.values(this.#tracks)) track?.stop();
    const opened = await openDevices({
      ...this.#wanted,
      camera: this.#on.camera ? this.#wanted.camera : null,
      microphone: this.#on.microphone ? this.#wanted.microphone : null,
    });
    if (turn !== this.#opening) {
      for (const track of [opened.camera, opened.microphone]) track?.stop();
      return;
    }
    this.#tracks = { camera: opened.camera, microphone: opened.microphone };
    this.#show(opened.problem);
    await this.#fill(this.#camera, "videoinput", "camera");
    await this.#fill(this.#microphone, "audioinput", "microphone");
  }

  /** @param {import("./words.js").Words | null} problem */
  #show(problem) {
    const { camera, microphone } = this.#tracks;
    this.#video.hidden = camera === null;
    this.#video.srcObject = camera && new MediaStream([camera]);
    this.#words.textContent = camera ? "" : this.#on.camera ? "No picture from your camera" : "Your camera is off";
    showSwitch(button("preview-cam"), camera !== null, "cam", camera ? "Turn camera off" : "Turn camera on");
    const microphoneWords = microphone ? "Turn microphone off" : "Turn microphone on";
    showSwitch(button("preview-mic"), microphone !== null, "mic", microphoneWords);
    this.#problem.hidden = problem === null;
    const [title, text] = [this.#problem.querySelector("strong"), this.#problem.querySelector("span")];
    if (title && text && problem) [title.textContent, text.textContent] = [problem.title, problem.text];
    button("join").textContent = camera || microphone ? "Join" : "Join and listen";
    this.#setLevel(0);
    if (microphone) this.#stopMeter = meter(microphone, (level) => this.#setLevel(level));
  }

  /** @param {number} level  0 to 1 */
  #setLevel(level) {
    this.#bar.style.setProperty("--level", level.toFixed(3));
    this.#level.setAttribute("aria-valuenow", String(Math.round(level * 100)));
  }

  /**
   * @param {HTMLSelectElement} select
   * @param {MediaDeviceKind} kind
   * @param {"camera" | "microphone"} device
   */
  async #fill(select, kind, device) {
    const devices = await listDevices(kind);
    const current = this.#tracks[device]?.getSettings().deviceId ?? this.#wanted[device] ?? "";
    const unnamed = kind === "videoinput" ? "Camera" : "Microphone";
    const options = devices.map(({ deviceId, label }, at) => new Option(label || `${unnamed} ${at + 1}`, deviceId));
    select.replaceChildren(...(options.length ? options : [new Option("None found", "")]));
    select.disabled = options.length === 0;
    if (current) select.value = current;
  }
}
