/**
 * What the tiles of a call are: one for each picture there is or could be, and in words why one is missing. Pure.
 *
 * @typedef {import("./wire.js").Source} Source
 * @typedef {import("./wire.js").Target} Target
 * @typedef {import("./wire.js").SlotState} SlotState
 * @typedef {import("./wire.js").SlotView} SlotView
 * @typedef {import("./peer.js").Slot} Slot
 * @typedef {import("./roster.js").Roster} Roster
 *
 * @typedef {object} Tile
 * @property {string} key           stays the same as long as the tile is about the same thing
 * @property {string} participant
 * @property {Source} source
 * @property {string} name
 * @property {boolean} self
 * @property {string | null} mid    of its slot
 * @property {MediaStreamTrack | null} track
 * @property {boolean} shown        the track carries this very picture now
 * @property {string} words         why there is no picture, or ""
 * @property {boolean} silent       no microphone, or muted
 * @property {boolean} speaking
 * @property {boolean} active
 * @property {boolean} moderated    I may act on this person here
 *
 * @typedef {object} Seen
 * @property {Roster} roster
 * @property {string} name                           my own
 * @property {import("./call.js").LocalTracks} local what I send
 * @property {{microphone: boolean}} on              what I want on
 * @property {Slot[]} slots                          the negotiated ones
 * @property {Map<string, SlotState>} slotStates     by mid: what the server says is in it
 * @property {Map<string, Target>} assigned          by mid: what we want in it
 * @property {Map<string, SlotView> | null} manual   by mid: raw wishes instead of ours
 * @property {boolean} mayModerate
 * @property {boolean} waiting                       an offer that brings slots is under way
 */
import { keyOf } from "./slots.js";
import { reasonWords } from "./words.js";

/**
 * @param {Seen} seen
 * @returns {Tile[]}  the others first, I am last
 */
export function tilesOf(seen) {
  return [...(seen.manual ? slotTiles(seen, seen.manual) : peopleTiles(seen)), selfTile(seen)];
}

/** @param {Seen} seen @returns {Tile[]} */
function peopleTiles(seen) {
  const mids = new Map([...seen.assigned].map(([mid, target]) => [keyOf(target), mid]));
  /** @type {Tile[]} */
  const tiles = [];
  for (const { participant, tracks } of seen.roster.people.values()) {
    /** @type {Source[]} */
    const sources = tracks.has("screen") ? ["screen", "camera"] : ["camera"];
    for (const source of sources) {
      const key = keyOf({ participant, source });
      tiles.push(tileOf(seen, key, participant, source, mids.get(key) ?? null));
    }
  }
  return tiles;
}

/**
 * One tile a slot: what the server says is in it, whoever that is.
 * @param {Seen} seen
 * @param {Map<string, SlotView>} manual
 * @returns {Tile[]}
 */
function slotTiles(seen, manual) {
  return [...manual.values()].filter(({ show }) => show).map(({ mid, show }) => {
    const state = seen.slotStates.get(mid);
    const wished = typeof show === "object" ? show : null;
    const participant = state?.participant ?? wished?.participant ?? "";
    return tileOf(seen, `slot/${mid}`, participant, state?.source ?? wished?.source ?? "camera", mid);
  });
}

/**
 * @param {Seen} seen
 * @param {string} key
 * @param {string} participant
 * @param {Source} source
 * @param {string | null} mid
 * @returns {Tile}
 */
function tileOf(seen, key, participant, source, mid) {
  const { roster } = seen;
  const state = mid === null ? undefined : seen.slotStates.get(mid);
  const track = seen.slots.find((slot) => slot.mid === mid)?.track ?? null;
  const shown = state !== undefined && state.participant === participant && state.source === source;
  const name = roster.people.get(participant)?.name ?? "";
  return {
    key, participant, source, mid, track, shown, self: false,
    name: source === "screen" ? `${name} (screen)` : name,
    words: shown ? "" : whyNot(seen, participant, source, mid, state?.reason ?? ""),
    silent: source === "camera" && !roster.sends(participant, "microphone"),
    speaking: source === "camera" && roster.speaking.has(participant),
    active: source === "camera" && roster.active === participant,
    moderated: source === "camera" && seen.mayModerate && roster.people.has(participant),
  };
}

/**
 * @param {Seen} seen
 * @param {string} participant
 * @param {Source} source
 * @param {string | null} mid
 * @param {string} reason
 */
function whyNot({ roster, waiting }, participant, source, mid, reason) {
  if (!roster.people.get(participant)?.tracks.has(source)) return "";
  if (!roster.sends(participant, source)) return "Camera is off";
  return mid === null && !waiting ? "Not shown: too many pictures at once" : reasonWords(reason);
}

/** @param {Seen} seen @returns {Tile} */
function selfTile({ roster, local, on, name }) {
  const silent = !local.microphone || !on.microphone;
  return {
    key: "self", participant: roster.me, source: "camera", name: `${name} (you)`, self: true, mid: null,
    track: local.camera, shown: local.camera !== null, words: "", silent, active: false, moderated: false,
    speaking: !silent && roster.speaking.has(roster.me),
  };
}
