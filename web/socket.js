/**
 * One WebSocket: requests with ids, their answers, and the messages in between. Never reconnects.
 *
 * @typedef {import("./wire.js").ServerMessage} ServerMessage
 * @typedef {import("./wire.js").RoomMessage} RoomMessage
 * @typedef {{resolve: (message: ServerMessage) => void, reject: (error: Error) => void, timer: any}} Waiting
 */
import { ConnectionLost, ServerError, SUBPROTOCOL } from "./wire.js";

/** An answer takes milliseconds; after this the server is as good as gone. Lower breaks slow mobile links. */
const ANSWER_TIMEOUT_MS = 10_000;

export class Socket {
  /** @type {Map<number, Waiting>} */
  #waiting = new Map();
  #next = 1;
  #closed = false;
  #ws;
  #on;

  /**
   * @param {string} url
   * @param {{message: (message: RoomMessage) => void, closed: () => void}} on  `closed` is called once, and only
   *   for a socket that had opened
   * @param {(url: string) => WebSocket} [open]
   */
  constructor(url, on, open = (address) => new WebSocket(address, SUBPROTOCOL)) {
    this.#on = on;
    const ws = (this.#ws = open(url));
    /** settles when the socket is open, or rejects with ConnectionLost */
    this.opened = /** @type {Promise<void>} */ (new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.close(), ANSWER_TIMEOUT_MS);
      let open = false;
      ws.onopen = () => {
        open = true;
        clearTimeout(timer);
        resolve(undefined);
      };
      ws.onclose = () => {
        clearTimeout(timer);
        this.#end();
        if (open) this.#on.closed();
        else reject(new ConnectionLost("the server cannot be reached"));
      };
    }));
    ws.onmessage = (event) => this.#received(JSON.parse(event.data));
  }

  /**
   * Send a request and wait for its answer.
   * @param {string} type
   * @param {object} [fields]
   * @returns {Promise<ServerMessage>}  rejects with ServerError or ConnectionLost
   */
  request(type, fields = {}) {
    if (this.#closed || this.#ws.readyState !== 1) {
      return Promise.reject(new ConnectionLost("the connection to the server is closed"));
    }
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new ConnectionLost(`no answer to ${type}`));
        this.#ws.close();
      }, ANSWER_TIMEOUT_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#ws.send(JSON.stringify({ type, id, ...fields }));
    });
  }

  close() {
    this.#end();
    this.#ws.close();
  }

  /** @param {ServerMessage} message */
  #received(message) {
    if (this.#closed) return;
    const request = "request" in message ? message.request : null;
    const waiting = request === null ? undefined : this.#waiting.get(request);
    if (!waiting) {
      if (message.type !== "joined" && message.type !== "answer" && message.type !== "done") this.#on.message(message);
      return;
    }
    this.#waiting.delete(/** @type {number} */ (request));
    clearTimeout(waiting.timer);
    if (message.type === "error") waiting.reject(new ServerError(message));
    else waiting.resolve(message);
  }

  #end() {
    this.#closed = true;
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new ConnectionLost("the connection to the server was lost"));
    }
    this.#waiting.clear();
  }
}
