/**
 * The screen of the call: binds a Call to the page's elements.
 *
 * @typedef {import("./words.js").Words} Words
 * @typedef {import("./protocol.js").Status} Status
 * @typedef {import("./devices.js").Wanted} Wanted
 */
import { Call } from "./call.js";
import { DeviceMenu } from "./devicemenu.js";
import { openDevices } from "./devices.js";
import { button, element, showSwitch } from "./dom.js";
import { roomWords } from "./entry.js";
import { canShare, openScreen } from "./sharing.js";
import { Stage } from "./tiles.js";
import { errorWords } from "./words.js";

/** A notice goes by itself after this; long enough to read two sentences twice. */
const NOTICE_MS = 12_000;
const STATUS_WORDS = {
  connecting: "Connecting …",
  connected: "Connected",
  reconnecting: "Reconnecting …",
  ended: "Ended",
};
const KEYS = /** @type {Record<string, string>} */ ({ m: "mic-toggle", v: "cam-toggle", s: "share-toggle", d: "devices-toggle", l: "leave-call" });

export class CallScreen {
  #status = element("status", HTMLElement);
  #notices = element("notices", HTMLElement);
  #live = element("live", HTMLElement);
  #audioBox = element("audio", HTMLElement);
  /** @type {Map<MediaStreamTrack, HTMLAudioElement>} */
  #audio = new Map();
  #stage;
  #wanted;
  #link;
  #devices;
  /** the camera or the microphone is being opened; a second click shall not open it twice */
  #opening = false;

  /**
   * @param {object} options
   * @param {string} options.url
   * @param {() => Promise<string>} options.grant
   * @param {string} options.name
   * @param {Wanted} options.wanted
   * @param {string} options.link  for others to join; "" = there is none to give away
   * @param {(words: Words) => void} options.ended
   */
  constructor({ url, grant, name, wanted, link, ended }) {
    this.#wanted = wanted;
    this.#link = link;
    this.call = new Call(url, grant, name, {
      changed: () => this.#render(),
      status: (status) => this.#showStatus(status),
      announce: (text) => (this.#live.textContent = text),
      problem: (words) => this.notice(words),
      ended: (words) => {
        this.#close();
        ended(words);
      },
    }, () => window.devicePixelRatio);
    this.#stage = new Stage(element("stage", HTMLElement), (height) => this.call.setTileHeight(height), (participant, action) => {
      this.call.protocol.request("moderate", { target: participant, action })
        .catch((error) => this.notice(errorWords(error)));
    });
    this.#showStatus("connecting");
    button("mic-toggle").onclick = () => void this.#toggleMicrophone();
    button("cam-toggle").onclick = () => void this.#toggleCamera();
    this.#devices = new DeviceMenu(
      (device) => this.call.local[device]?.getSettings().deviceId ?? this.#wanted[device] ?? "",
      (device, id) => this.#choose(device, id),
    );
    button("share-toggle").hidden = !canShare();
    button("share-toggle").onclick = () => void this.#toggleShare();
    button("leave-call").onclick = () => this.call.leave();
    button("hear").onclick = () => this.#playAll();
    this.setLink(link);
    button("copy").onclick = () => void this.#copy();
    document.addEventListener("keydown", this.#key);
    this.#render();
  }

  /** @param {string} link  for others to join; "" = there is none to give away */
  setLink(link) {
    this.#link = link;
    button("copy").hidden = link === "";
  }

  /** What each slot carries, for tests: mid -> fact and element. */
  slots() {
    return Object.fromEntries(this.call.slots().map(({ mid, kind, track }) => {
      const { participant = null, source = null, height = 0, reason = "" } = this.call.slotStates.get(mid) ?? {};
      const playing = kind === "video" ? this.#stage.video(track) : this.#audio.get(track) ?? null;
      return [mid, { kind, participant, source, height, reason, element: playing }];
    }));
  }

  /** @param {Words} words */
  notice({ title, text }) {
    const box = document.createElement("div");
    const body = document.createElement("div");
    const strong = document.createElement("strong");
    const close = document.createElement("button");
    box.className = "problem notice";
    strong.textContent = title;
    close.className = "text";
    close.textContent = "Close";
    close.onclick = () => box.remove();
    body.append(strong, text);
    box.append(body, close);
    for (const old of [...this.#notices.children]) if (old.textContent === box.textContent) old.remove();
    this.#notices.append(box);
    setTimeout(() => box.remove(), NOTICE_MS);
  }

  #render() {
    const { call } = this;
    const others = call.roster.people.size;
    element("room-name", HTMLElement).textContent = roomWords(call.room) || "Stentor";
    element("count", HTMLElement).textContent = others ? `${others + 1} people` : "Only you so far";
    this.#stage.render(call.tiles());
    const [microphone, camera] = [call.on.microphone && !!call.local.microphone, call.on.camera && !!call.local.camera];
    this.#showControl("mic-toggle", microphone, "mic", "microphone", ["Mute", "Unmute"]);
    this.#showControl("cam-toggle", camera, "cam", "camera", ["Stop video", "Start video"]);
    this.#showControl("share-toggle", !call.sharing.on, "screen", "screen", ["Share screen", "Stop sharing"]);
    this.#renderAudio();
  }

  /**
   * @param {string} id
   * @param {boolean} on
   * @param {string} symbol
   * @param {import("./wire.js").Source} source
   * @param {[string, string]} words  what a click does when it is on, and off
   */
  #showControl(id, on, symbol, source, words) {
    showSwitch(button(id), on, symbol, words[on ? 0 : 1]);
    button(id).disabled = this.call.room !== "" && !this.call.mayPublish.has(source);
  }

  #renderAudio() {
    const slots = this.call.slots().filter(({ kind }) => kind === "audio");
    const tracks = new Map(slots.map(({ mid, track }) => [track, mid]));
    for (const [track, audio] of this.#audio) {
      if (tracks.has(track)) continue;
      audio.remove();
      this.#audio.delete(track);
    }
    for (const [track, mid] of tracks) {
      if (this.#audio.has(track)) continue;
      const audio = document.createElement("audio");
      audio.srcObject = new MediaStream([track]);
      audio.dataset.mid = mid;
      this.#audio.set(track, audio);
      this.#audioBox.append(audio);
      this.#play(audio);
    }
  }

  #playAll() {
    button("hear").hidden = true;
    for (const audio of this.#audio.values()) this.#play(audio);
  }

  /** @param {HTMLAudioElement} audio */
  #play(audio) {
    audio.play().catch((error) => {
      // AbortError: the element was taken away meanwhile. NotAllowedError: the browser wants a click first.
      if (error.name === "NotAllowedError") button("hear").hidden = false;
    });
  }

  /** @param {Status} status */
  #showStatus(status) {
    this.#status.dataset.status = status;
    this.#status.textContent = STATUS_WORDS[status];
  }

  async #toggleMicrophone() {
    const { call } = this;
    if (call.local.microphone) return call.setMicrophone(!call.on.microphone);
    const track = await this.#open("microphone");
    return track ? call.addMicrophone(track) : undefined;
  }

  async #toggleCamera() {
    const { call } = this;
    if (call.local.camera) return call.setCamera(null);
    const track = await this.#open("camera");
    return track ? call.setCamera(track) : undefined;
  }

  async #toggleShare() {
    const { sharing } = this.call;
    if (sharing.on) {
      sharing.stop();
      this.#live.textContent = "You no longer share your screen";
      return;
    }
    if (this.#opening) return;
    this.#opening = true;
    const { problem, ...tracks } = await openScreen();
    this.#opening = false;
    if (problem) this.notice(problem);
    if (!tracks.screen) return;
    sharing.start(tracks);
    this.#live.textContent = "You share your screen: everybody in the room sees it";
  }

  /**
   * One that is off stays off, and starts with this one when it is turned on.
   * @param {"camera" | "microphone"} device
   * @param {string} id
   */
  async #choose(device, id) {
    const { call } = this;
    this.#wanted = { ...this.#wanted, [device]: id };
    const old = call.local[device];
    if (!old) return;
    if (device === "camera") old.stop(); // phones open no second camera beside a first
    const track = await this.#open(device);
    if (device === "camera") await call.setCamera(track);
    else if (track) await call.addMicrophone(track);
  }

  /** @param {"camera" | "microphone"} device */
  async #open(device) {
    if (this.#opening) return null;
    this.#opening = true;
    const only = { camera: null, microphone: null, [device]: this.#wanted[device] ?? "" };
    const opened = await openDevices({ ...this.#wanted, ...only });
    this.#opening = false;
    if (opened.problem) this.notice(opened.problem);
    return opened[device];
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.#link);
      this.#live.textContent = "Link copied";
      this.notice({ title: "Link copied", text: "Who opens it can come into this room, unless it is for invited people only." });
    } catch {
      this.notice({ title: "Copy this link", text: this.#link }); // the browser forbids the clipboard here
    }
  }

  #key = (/** @type {KeyboardEvent} */ event) => {
    const typing = event.target instanceof Element && event.target.closest("input, select, textarea");
    if (typing || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
    const id = KEYS[event.key.toLowerCase()];
    if (id && !button(id).disabled) button(id).click();
  };

  #close() {
    document.removeEventListener("keydown", this.#key);
    this.#stage.close();
    this.#devices.close();
    this.#audioBox.replaceChildren();
    this.#notices.replaceChildren();
    button("hear").hidden = true;
  }
}
