/**
 * Who is in the room, kept by the room's events. Pure.
 *
 * @typedef {import("./wire.js").Source} Source
 * @typedef {import("./wire.js").Target} Target
 * @typedef {import("./wire.js").Joined} Joined
 * @typedef {import("./wire.js").RoomMessage} RoomMessage
 * @typedef {{participant: string, name: string, role: string, tracks: Map<Source, {muted: boolean}>}} Person
 */

export class Roster {
  /**
   * everybody but me, in the order of their coming
   * @type {Map<string, Person>}
   */
  people = new Map();
  /** my own participant id */
  me = "";
  /**
   * whose picture leads
   * @type {string | null}
   */
  active = null;
  /**
   * who speaks now
   * @type {Set<string>}
   */
  speaking = new Set();

  /** @param {Joined} joined */
  reset(joined) {
    this.me = joined.participant;
    this.active = joined.speaker;
    this.speaking = new Set();
    this.people = new Map();
    for (const { participant, name, role, tracks } of joined.participants) {
      if (participant === this.me) continue;
      const known = tracks.map(({ source, muted }) => /** @type {[Source, {muted: boolean}]} */ ([source, { muted }]));
      this.people.set(participant, { participant, name, role, tracks: new Map(known) });
    }
  }

  /**
   * Take a message of the room. Those that say nothing about people are ignored.
   * @param {RoomMessage} message
   * @returns {string}  what to announce, or ""
   */
  apply(message) {
    if (message.type === "speakers") {
      this.active = message.active;
      this.speaking = new Set(message.speaking);
    }
    if (message.type === "track") this.#track(message);
    return message.type === "participant" ? this.#participant(message) : "";
  }

  /** @param {import("./wire.js").ParticipantEvent} message */
  #participant({ event, participant, name, role }) {
    if (participant === this.me) return "";
    const before = this.people.get(participant);
    if (event === "joined") {
      this.people.set(participant, { participant, name, role, tracks: before?.tracks ?? new Map() });
      return before ? "" : `${name} joined`;
    }
    this.people.delete(participant);
    this.speaking.delete(participant);
    if (this.active === participant) this.active = null;
    return before ? `${before.name} left` : "";
  }

  /** @param {import("./wire.js").TrackEvent} message */
  #track({ event, participant, source }) {
    const tracks = this.people.get(participant)?.tracks;
    if (!tracks) return;
    if (event === "unpublished") tracks.delete(source);
    else tracks.set(source, { muted: event === "muted" });
  }

  /** @param {string} participant @param {Source} source */
  sends(participant, source) {
    const track = this.people.get(participant)?.tracks.get(source);
    return track !== undefined && !track.muted;
  }

  /**
   * The pictures there are to see, most wanted first: screens, who speaks, then the order of coming.
   * @returns {Target[]}
   */
  pictures() {
    /** @type {Target[]} */
    const screens = [];
    /** @type {Target[]} */
    const faces = [];
    for (const { participant } of this.people.values()) {
      if (this.sends(participant, "screen")) screens.push({ participant, source: "screen" });
      if (!this.sends(participant, "camera")) continue;
      const first = participant === this.active || this.speaking.has(participant);
      faces[first ? "unshift" : "push"]({ participant, source: "camera" });
    }
    return [...screens, ...faces];
  }
}
