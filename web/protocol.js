/**
 * The client of `stentor.v1`: joins, keeps the connection, comes back after a loss. Knows the wire and one peer
 * connection; knows nothing of a page.
 *
 * @typedef {import("./wire.js").Joined} Joined
 * @typedef {import("./wire.js").Source} Source
 * @typedef {import("./wire.js").RoomMessage} RoomMessage
 * @typedef {"connecting" | "connected" | "reconnecting" | "ended"} Status
 *
 * @typedef {object} Handlers
 * @property {(joined: Joined, resumed: boolean) => void} joined  in the room; not `resumed` = a new peer connection,
 *   so publish again
 * @property {(message: RoomMessage) => void} message
 * @property {(sources: Source[]) => void} refused  of ours, because we have not the room's codec
 * @property {(status: Status) => void} status
 * @property {(reason: string | Error) => void} ended  for good: the server's reason, or what made us give up
 */
import { Peer } from "./peer.js";
import { Socket } from "./socket.js";
import { ConnectionLost, MediaLost, ServerError } from "./wire.js";

/** First and largest wait before the next attempt. Shorter first waits hammer a server that is just starting. */
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 8_000;
/** After this long without a server the page says so and stops. */
const GIVE_UP_MS = 120_000;
/** So many peer connections in a row may fail before we say that media cannot get through. */
const MEDIA_ATTEMPTS = 3;
/** A path that is lost this long gets an ICE restart: the browser has tried its other paths by then. */
const RESTART_AFTER_MS = 2_000;
/** Errors, of an offer or unasked, that a new session cures. */
const CURED_BY_REJOINING = new Set(["worker_lost", "media_failed"]);
/** Errors of a join that another attempt will not cure. Of a resume, they mean: join anew. */
const FINAL = new Set(["unauthorized", "forbidden", "bad_message", "not_found"]);

/**
 * Milliseconds before attempt number `attempt` (0, 1, ...). Spread by chance, so that a whole room does not come
 * back in the same millisecond.
 * @param {number} attempt
 * @param {() => number} [random]  0 <= x < 1
 */
export function backOff(attempt, random = Math.random) {
  return Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** attempt) * (0.5 + random() / 2);
}

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Protocol {
  /** @type {Socket | null} */
  #socket = null;
  /** @type {Peer | null} */
  #peer = null;
  /** @type {Joined | null} */
  #joined = null;
  /** @type {Status} */
  #status = "connecting";
  #token = "";
  #resume = "";
  #ended = false;
  #recovering = false;
  #mediaFailures = 0;
  /** Sessions in a row whose media never came up: each waits longer than the one before. */
  #fruitless = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #restartTimer;
  #url;
  #grant;
  #on;

  /**
   * @param {string} url  of the WebSocket
   * @param {() => Promise<string>} grant  a token for a new session; asked again when an old one cannot be resumed
   * @param {Handlers} on
   */
  constructor(url, grant, on) {
    this.#url = url;
    this.#grant = grant;
    this.#on = on;
  }

  get peer() {
    return this.#peer;
  }

  get status() {
    return this.#status;
  }

  /** Join for the first time. Rejects with ServerError, ConnectionLost or what `grant` rejects with. */
  async start() {
    await this.#enter(this.#grant());
  }

  /**
   * @param {string} type
   * @param {object} [fields]
   */
  request(type, fields) {
    if (!this.#socket) return Promise.reject(new ConnectionLost("not connected to the server"));
    return this.#socket.request(type, fields);
  }

  /** Offer what the peer connection has now. */
  async negotiate() {
    const peer = this.#peer;
    try {
      await peer?.negotiate(async (offer) => {
        const answer = await this.request("offer", offer);
        if (answer.type !== "answer") return "";
        const refused = Object.keys(answer.refused ?? {}).map((mid) => offer.sources[mid]);
        if (refused.length > 0) this.#on.refused(refused);
        return answer.sdp;
      });
    } catch (error) {
      if (!(error instanceof ServerError) || !CURED_BY_REJOINING.has(error.code)) throw error;
      if (peer === this.#peer && this.#socket) this.#rejoin();
      throw new ConnectionLost("the media server is starting again");
    }
  }

  /** Go, at once and for good. */
  leave() {
    this.#end();
  }

  /** @param {Promise<string>} [grant]  a fresh token on its way; the socket opens meanwhile */
  async #enter(grant = Promise.resolve(this.#token)) {
    /** @type {Socket} */
    const socket = new Socket(this.#url, {
      message: (message) => this.#received(message),
      closed: () => this.#lost(socket),
    });
    try {
      [this.#token] = await Promise.all([grant, socket.opened]);
      const fields = this.#resume ? { token: this.#token, resume: this.#resume } : { token: this.#token };
      const joined = await socket.request("join", fields);
      if (joined.type !== "joined") throw new ConnectionLost("the server did not answer the join");
      if (this.#ended) throw new ConnectionLost("left meanwhile");
      this.#entered(socket, joined);
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /** @param {Socket} socket @param {Joined} joined */
  #entered(socket, joined) {
    this.#socket = socket;
    const state = this.#peer?.pc.connectionState;
    const resumed = this.#joined?.participant === joined.participant && state !== undefined && state !== "failed";
    this.#joined = joined;
    this.#resume = joined.resume;
    if (!resumed) {
      this.#peer?.close();
      this.#peer = new Peer(joined.ice_servers ?? [], (now) => this.#mediaChanged(now), joined.camera_codec);
    }
    this.#tell();
    this.#on.joined(joined, resumed);
  }

  /** @param {RoomMessage} message */
  #received(message) {
    if (message.type === "ended" && message.reason !== "server_stopping") this.#end(message.reason);
    else if (message.type === "ended") this.#rejoin(message);
    else if (message.type === "error" && CURED_BY_REJOINING.has(message.code)) this.#rejoin(message);
    else this.#on.message(message);
  }

  /** @param {RTCPeerConnectionState} state */
  #mediaChanged(state) {
    if (state === "connected") this.#mediaFailures = this.#fruitless = 0;
    clearTimeout(this.#restartTimer);
    if (state === "disconnected") this.#restartTimer = setTimeout(() => void this.#restart(), RESTART_AFTER_MS);
    if (state === "failed" && this.#socket) {
      this.#mediaFailures += 1;
      if (this.#mediaFailures >= MEDIA_ATTEMPTS) return this.#end(new MediaLost());
      this.#rejoin();
    }
    this.#tell();
  }

  /** Another path for the peer connection that we have; if that fails, its end follows and we rejoin. */
  async #restart() {
    const peer = this.#peer;
    if (!this.#socket || peer?.pc.connectionState !== "disconnected") return;
    peer.pc.restartIce();
    try {
      await this.negotiate();
    } catch (error) {
      if (!(error instanceof ConnectionLost)) console.warn("the ICE restart was refused", error);
    }
  }

  /**
   * Give the seat back and take a new one with a new peer connection.
   * @param {RoomMessage} [why]  told to the page as well
   */
  #rejoin(why) {
    if (why) this.#on.message(why);
    const socket = this.#socket;
    this.#socket = null;
    this.#resume = "";
    this.#joined = null;
    this.#fruitless += 1;
    // The answer is of no interest, and a server that is stopping may not give one.
    socket?.request("leave").catch(() => undefined);
    socket?.close();
    void this.#recover();
  }

  /** @param {Socket} socket */
  #lost(socket) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    void this.#recover();
  }

  async #recover() {
    if (this.#recovering || this.#ended) return;
    this.#recovering = true;
    this.#tell();
    const failure = await this.#tryAgain();
    this.#recovering = false;
    if (failure) this.#end(failure);
  }

  /** @returns {Promise<Error | null>}  null when we are back (or have left) */
  async #tryAgain() {
    const since = performance.now();
    /** @type {Error} */
    let last = new ConnectionLost("the connection to the server was lost");
    for (let attempt = 0; performance.now() - since < GIVE_UP_MS; attempt++) {
      const asked = last instanceof ServerError && last.retryAfter ? last.retryAfter * 1000 : 0;
      await pause(Math.max(asked, backOff(attempt + Math.max(0, this.#fruitless - 1))));
      if (this.#ended) return null;
      try {
        if (!this.#resume && attempt > 0) this.#token = await this.#grant();
        await this.#enter();
        return null;
      } catch (error) {
        last = error instanceof Error ? error : new Error(String(error));
        const final = last instanceof ServerError && FINAL.has(last.code);
        // A refused resume key or a token that ran out: once more from new, with a fresh grant.
        if (final && !this.#resume && attempt > 0) return last;
        if (final) this.#resume = "";
      }
    }
    return last;
  }

  /** @param {string | Error} [reason]  none = we left by ourselves */
  #end(reason) {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#restartTimer);
    const socket = this.#socket;
    this.#socket = null;
    if (reason === undefined) socket?.request("leave").catch(() => undefined); // the frame is out; nobody waits
    socket?.close();
    this.#peer?.close();
    this.#tell();
    if (reason !== undefined) this.#on.ended(reason);
  }

  #tell() {
    const status = this.#now();
    if (status === this.#status) return;
    this.#status = status;
    this.#on.status(status);
  }

  /** @returns {Status} */
  #now() {
    if (this.#ended) return "ended";
    if (!this.#socket) return this.#recovering ? "reconnecting" : "connecting";
    const state = this.#peer?.pc.connectionState;
    if (state === "connected") return "connected";
    return state === "disconnected" || state === "failed" ? "reconnecting" : "connecting";
  }
}
