/**
 * Whether it was us or a moderator who turned a source off.
 *
 * @typedef {import("./call.js").Device} Device
 */
export class Muting {
  /**
   * requests under way by source: their echoes are not orders
   * @type {Record<Device, number>}
   */
  #pending = { camera: 0, microphone: 0 };
  #request;

  /** @param {(type: "mute" | "unmute", fields: {source: Device}) => Promise<unknown>} request */
  constructor(request) {
    this.#request = request;
  }

  /**
   * Tell the room. Rejects as the request does.
   * @param {Device} source
   * @param {boolean} on
   */
  async say(source, on) {
    this.#pending[source] += 1;
    try {
      await this.#request(on ? "unmute" : "mute", { source });
    } finally {
      this.#pending[source] -= 1;
    }
  }

  /**
   * Of an event about one of our sources: which of them a moderator turned off. Nobody may turn us on.
   * @param {import("./wire.js").TrackEvent} message
   * @returns {Device | null}
   */
  ordered({ event, source }) {
    if (event !== "muted" || (source !== "camera" && source !== "microphone")) return null;
    return this.#pending[source] > 0 ? null : source;
  }
}
