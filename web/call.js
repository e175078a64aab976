/**
 * How a call behaves: who is there, which slot shows whom, what we send. Knows neither the wire's framing nor a
 * page: the page gives it tracks, asks for `tiles()` after each `changed`, and says how high a tile is.
 *
 * @typedef {import("./wire.js").Source} Source
 * @typedef {import("./wire.js").Target} Target
 * @typedef {import("./wire.js").SlotState} SlotState
 * @typedef {import("./wire.js").SlotView} SlotView
 * @typedef {import("./wire.js").RoomMessage} RoomMessage
 * @typedef {import("./peer.js").Peer} Peer
 * @typedef {import("./words.js").Words} Words
 * @typedef {"camera" | "microphone"} Device
 * @typedef {{camera: MediaStreamTrack | null, microphone: MediaStreamTrack | null}} LocalTracks
 *
 * @typedef {object} Listener
 * @property {() => void} changed
 * @property {(status: import("./protocol.js").Status) => void} status
 * @property {(text: string) => void} announce  joins and leaves
 * @property {(words: Words) => void} problem   something failed; the call goes on
 * @property {(words: Words) => void} ended     the call is over
 */
import { Muting } from "./muting.js";
import { Protocol } from "./protocol.js";
import { Roster } from "./roster.js";
import { Sharing } from "./sharing.js";
import { assign, AUDIO_SLOTS, changedWishes, slotsNeeded, wishedHeight } from "./slots.js";
import { tilesOf } from "./tilemodel.js";
import { ConnectionLost, ServerError } from "./wire.js";
import { codeWords, endWords, errorWords, refusedWords } from "./words.js";

/**
 * While devices start or the permission question is open, see and hear the others after this long; our tracks follow.
 * 0 costs everybody who joins without a preview a second offer; a camera takes 0.3 to 0.8 s, which is how much later
 * the first picture would come with more.
 */
const DEVICES_WAIT_MS = 100;
/** A window that is being resized shall not ask for another layer at every step. */
const RESIZE_SETTLE_MS = 250;
/** After a refused view, unless the server says when. */
const VIEW_RETRY_MS = 1_000;

/** @type {Device[]} */
const DEVICES = ["microphone", "camera"];

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Call {
  roster = new Roster();
  room = "";
  /**
   * what we send
   * @type {LocalTracks}
   */
  local = { camera: null, microphone: null };
  /**
   * what the person wants on
   * @type {Record<Device, boolean>}
   */
  on = { camera: true, microphone: true };
  /**
   * what the grant lets us send
   * @type {Set<Source>}
   */
  mayPublish = new Set();
  mayModerate = false;
  /**
   * what the server says each slot carries
   * @type {Map<string, SlotState>}
   */
  slotStates = new Map();
  /** @type {Map<string, Target>} */
  #assigned = new Map();
  /** @type {Map<string, SlotView>} */
  #sent = new Map();
  /**
   * the raw wishes that replace ours, for tests
   * @type {Map<string, SlotView> | null}
   */
  #manual = null;
  #muting = new Muting((type, fields) => this.protocol.request(type, fields));
  /**
   * the peer whose first offer was answered
   * @type {Peer | null}
   */
  #live = null;
  /** the screen that we share */
  sharing = new Sharing(() => this.#shareChanged());
  #growing = false;
  #queued = false;
  #tileHeight = 0;
  /** @type {any} */
  #resizeTimer = undefined;
  /** @type {Promise<void>} */
  #devicesReady = Promise.resolve();

  /**
   * @param {string} url
   * @param {() => Promise<string>} grant
   * @param {string} name  my own
   * @param {Listener} listener
   * @param {() => number} [pixelRatio]
   */
  constructor(url, grant, name, listener, pixelRatio = () => 1) {
    this.name = name;
    this.listener = listener;
    this.pixelRatio = pixelRatio;
    this.protocol = new Protocol(url, grant, {
      joined: (joined, resumed) => this.#joined(joined, resumed),
      message: (message) => this.#received(message),
      refused: (sources) => this.listener.problem(refusedWords(sources)),
      status: (status) => this.listener.status(status),
      ended: (reason) => this.#ended(typeof reason === "string" ? endWords(reason) : errorWords(reason)),
    });
  }

  /**
   * Join. Does not wait for the devices. Failures arrive as `ended`.
   * @param {Promise<LocalTracks>} devices
   */
  async join(devices) {
    this.#devicesReady = devices.then((tracks) => this.#take(tracks));
    try {
      await this.protocol.start();
    } catch (error) {
      this.protocol.leave();
      await this.#devicesReady;
      this.#ended(errorWords(error));
    }
  }

  leave() {
    this.protocol.leave();
    this.#ended(endWords("left"));
  }

  /** @param {boolean} on */
  setMicrophone(on) {
    this.on.microphone = on;
    if (this.local.microphone) this.local.microphone.enabled = on;
    this.#say("microphone", on);
    this.refresh();
  }

  /**
   * A microphone that was not there when we joined, or another one in its place: muted stays muted.
   * @param {MediaStreamTrack} track
   */
  async addMicrophone(track) {
    this.on.microphone ||= !this.local.microphone;
    this.local.microphone?.stop();
    this.local.microphone = track;
    track.enabled = this.on.microphone;
    this.refresh();
    await this.#publish();
  }

  /**
   * Off stops the device, so that its light goes out; on needs it opened again.
   * @param {MediaStreamTrack | null} track
   */
  async setCamera(track) {
    this.local.camera?.stop();
    this.local.camera = track;
    this.on.camera = track !== null;
    if (track) track.onended = () => void this.setCamera(null);
    this.refresh();
    if (!track) this.#say("camera", false);
    await this.#live?.publish("camera", null);
    if (!track) return;
    await this.#publish();
    this.#say("camera", true);
  }

  /**
   * The height of the tiles on the page.
   * @param {number} height  CSS pixels
   */
  setTileHeight(height) {
    if (height === this.#tileHeight) return;
    const first = this.#tileHeight === 0;
    this.#tileHeight = height;
    clearTimeout(this.#resizeTimer);
    if (first) this.refresh();
    else this.#resizeTimer = setTimeout(() => this.#sendView(), RESIZE_SETTLE_MS);
  }

  /**
   * Say what slots shall show, and stop doing so automatically (for tests); null returns to automatic.
   * @param {SlotView[] | null} slots
   * @returns {Promise<unknown>}
   */
  view(slots) {
    this.#sent.clear();
    const named = (slots ?? []).map((slot) => /** @type {const} */ ([slot.mid, slot]));
    this.#manual = slots && new Map([...(this.#manual ?? []), ...named]);
    this.refresh();
    return slots ? this.protocol.request("view", { slots }) : Promise.resolve();
  }

  /** The slots that were negotiated. */
  slots() {
    return this.protocol.peer?.slots() ?? [];
  }

  /** @returns {import("./tilemodel.js").Tile[]}  the others first, I am last */
  tiles() {
    const { roster, slotStates, local, on, name } = this;
    const waiting = this.#growing || this.#live === null;
    return tilesOf({
      roster, slotStates, local, on, name, waiting, mayModerate: this.mayModerate,
      slots: this.slots(), assigned: this.#assigned, manual: this.#manual,
    });
  }

  /** Look again at who shall be shown where, soon. */
  refresh() {
    if (this.#queued) return;
    this.#queued = true;
    queueMicrotask(() => {
      this.#queued = false;
      this.#plan();
      this.listener.changed();
      this.#sendView();
    });
  }

  /** @param {import("./wire.js").Joined} joined @param {boolean} resumed */
  #joined(joined, resumed) {
    this.room = joined.room;
    this.mayPublish = new Set(joined.may_publish);
    this.mayModerate = joined.may_moderate;
    this.roster.reset(joined);
    this.#sent.clear();
    this.refresh();
    if (resumed) return;
    this.#live = null;
    this.slotStates.clear();
    this.#assigned.clear();
    void this.#arrive(/** @type {Peer} */ (this.protocol.peer));
  }

  /**
   * The first offer of a new peer connection.
   * @param {Peer} peer
   */
  async #arrive(peer) {
    await Promise.race([this.#devicesReady, pause(DEVICES_WAIT_MS)]);
    try {
      await this.#addTracks(peer);
      peer.wantSlots(AUDIO_SLOTS, slotsNeeded(this.roster.pictures().length));
      await this.protocol.negotiate();
    } catch (error) {
      return this.#failed(error, peer);
    }
    if (peer !== this.protocol.peer) return;
    this.#live = peer;
    await this.#publish(); // what came while the offer was under way
    // What is off is said once the devices are known: a camera that takes a second to start is not off.
    void this.#devicesReady.then(() => {
      if (peer !== this.#live) return;
      for (const source of DEVICES) if (!this.#usable(source) || !this.on[source]) this.#say(source, false);
    });
    this.refresh();
  }

  /** @param {Peer} peer @returns {Promise<boolean>}  true where an offer is needed */
  async #addTracks(peer) {
    let needed = false;
    for (const source of DEVICES) {
      // A source without a device yet has its place in the first offer, so that it starts without a second one;
      // Chromium also refuses simulcast in a later offer when the first had none.
      if (this.mayPublish.has(source)) needed = (await peer.publish(source, this.#usable(source))) || needed;
    }
    return (await this.sharing.apply(peer, this.mayPublish)) || needed;
  }

  #shareChanged() {
    this.refresh();
    void this.#publish();
  }

  /** @param {Device} source @returns {MediaStreamTrack | null} */
  #usable(source) {
    const track = this.local[source];
    return track && track.readyState !== "ended" ? track : null;
  }

  /** Send what we have and do not send yet. */
  async #publish() {
    const peer = this.#live;
    if (!peer) return;
    try {
      if (await this.#addTracks(peer)) await this.protocol.negotiate();
    } catch (error) {
      this.#failed(error, peer);
    }
  }

  /** @param {LocalTracks} tracks */
  #take(tracks) {
    this.local = tracks;
    for (const source of DEVICES) this.on[source] &&= tracks[source] !== null;
    if (tracks.microphone) tracks.microphone.enabled = this.on.microphone;
    if (tracks.camera) tracks.camera.onended = () => void this.setCamera(null);
    if (this.protocol.status === "ended") return this.#stopDevices();
    this.refresh();
    void this.#publish();
  }

  /**
   * Tell the room that a source is muted or not.
   * @param {Device} source
   * @param {boolean} on
   */
  #say(source, on) {
    if (!this.#live?.publishes(source)) return;
    this.#muting.say(source, on).catch((error) => this.#failed(error, this.#live));
  }

  /** @param {RoomMessage} message */
  #received(message) {
    if (message.type === "slots") for (const slot of message.slots) this.slotStates.set(slot.mid, slot);
    else if (message.type === "error") this.listener.problem(codeWords(message.code, message.reason));
    else if (message.type === "ended") this.listener.problem(endWords(message.reason));
    else if (message.type === "track" && message.participant === this.roster.me) this.#ordered(message);
    const news = this.roster.apply(message);
    if (news) this.listener.announce(news);
    this.refresh();
  }

  /** @param {import("./wire.js").TrackEvent} message */
  #ordered(message) {
    const source = this.#muting.ordered(message);
    if (!source || !this.on[source]) return;
    if (source === "camera") void this.setCamera(null);
    else this.setMicrophone(false);
    this.listener.announce(`Your ${source} was turned off by a moderator`);
  }

  /** @param {unknown} error @param {Peer | null} peer  whose request it was */
  #failed(error, peer) {
    // A lost connection is told as such, and a peer that was replaced has nothing to say any more.
    if (!(error instanceof ConnectionLost) && peer === this.protocol.peer) this.listener.problem(errorWords(error));
  }

  /** @param {Words} words */
  #ended(words) {
    clearTimeout(this.#resizeTimer);
    this.#stopDevices();
    this.listener.ended(words);
  }

  #stopDevices() {
    this.sharing.stop();
    for (const source of DEVICES) this.local[source]?.stop();
  }

  #plan() {
    if (!this.#live || this.#manual) return;
    const pictures = this.roster.pictures();
    const mids = this.slots().filter(({ kind }) => kind === "video").map(({ mid }) => mid);
    this.#assigned = assign(pictures, mids, this.#assigned);
    const needed = slotsNeeded(pictures.length);
    if (needed > this.#live.count("video")) void this.#grow(this.#live, needed);
  }

  /** @param {Peer} peer @param {number} video */
  async #grow(peer, video) {
    if (this.#growing) return;
    this.#growing = true;
    try {
      peer.wantSlots(AUDIO_SLOTS, video);
      await this.protocol.negotiate();
    } catch (error) {
      this.#failed(error, peer);
    } finally {
      this.#growing = false;
      this.refresh();
    }
  }

  #sendView() {
    if (!this.#live || this.#manual || this.#tileHeight === 0 || this.protocol.status === "reconnecting") return;
    const height = wishedHeight(this.#tileHeight, this.pixelRatio());
    const wishes = this.slots().filter(({ kind }) => kind === "video").map(({ mid }) => {
      const show = this.#assigned.get(mid) ?? null;
      return { mid, show, max_height: show?.source === "screen" ? 0 : height };
    });
    const slots = changedWishes(wishes, this.#sent);
    if (slots.length === 0) return;
    for (const slot of slots) this.#sent.set(slot.mid, slot);
    this.protocol.request("view", { slots }).catch((error) => {
      for (const slot of slots) if (this.#sent.get(slot.mid) === slot) this.#sent.delete(slot.mid);
      // Somebody left while we asked for them: the room's event follows and we plan anew.
      if (!(error instanceof ServerError) || error.code === "not_found") return;
      setTimeout(() => this.#sendView(), (error.retryAfter ?? 0) * 1000 || VIEW_RETRY_MS);
    });
  }
}
