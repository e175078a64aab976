/**
 * The messages of `stentor.v1` that this page uses, as types. The contract is docs/protocol.md.
 *
 * @typedef {"camera" | "microphone" | "screen" | "screen_audio"} Source
 * @typedef {{participant: string, source: Source}} Target
 * @typedef {{mid: string, show: Target | "speaker" | null, max_height?: number, max_fps?: number,
 *   priority?: number}} SlotView
 * @typedef {{mid: string, participant: string | null, source: Source | null, height: number,
 *   reason: string}} SlotState
 * @typedef {{source: Source, muted: boolean}} Published
 * @typedef {{participant: string, name: string, role: string, tracks: Published[]}} ParticipantView
 *
 * @typedef {{type: "joined", request: number, participant: string, room: string, resume: string, sequence: number,
 *   participants: ParticipantView[], ice_servers: RTCIceServer[], may_publish: Source[], may_moderate: boolean,
 *   speaker: string | null, camera_codec?: string}} Joined
 * @typedef {"mute" | "stop_video" | "remove"} ModerateAction  of those that this page has buttons for
 * @typedef {{type: "answer", request: number, sdp: string, refused?: Record<string, string>}} Answer
 * @typedef {{type: "done", request: number}} Done
 * @typedef {{type: "error", request: number | null, code: string, reason: string, retry_after?: number}} Failure
 * @typedef {{type: "slots", slots: SlotState[]}} Slots
 * @typedef {{type: "participant", sequence: number, event: "joined" | "left", participant: string, name: string,
 *   role: string}} ParticipantEvent
 * @typedef {{type: "track", sequence: number, event: "published" | "muted" | "unmuted" | "unpublished",
 *   participant: string, source: Source}} TrackEvent
 * @typedef {{type: "speakers", sequence: number, active: string | null, speaking: string[]}} Speakers
 * @typedef {{type: "quality", source: Source, heights: number[]}} Quality
 * @typedef {{type: "message", sequence: number, sender: string, topic: string, body: string}} AppMessage
 * @typedef {{type: "ended", reason: string}} Ended
 * @typedef {Slots | ParticipantEvent | TrackEvent | Speakers | Quality | AppMessage | Ended | Failure} RoomMessage
 * @typedef {Joined | Answer | Done | RoomMessage} ServerMessage
 */

export const SUBPROTOCOL = "stentor.v1";

/** The server answered a request, or told us unasked, that something failed. `code` is of the protocol's list. */
export class ServerError extends Error {
  /** @param {Failure} failure */
  constructor(failure) {
    super(failure.reason);
    this.name = "ServerError";
    this.code = failure.code;
    /**
     * seconds, or undefined where the server names none
     * @type {number | undefined}
     */
    this.retryAfter = failure.retry_after;
  }
}

/** The WebSocket did not open, closed, or an answer did not come in time. */
export class ConnectionLost extends Error {
  /** @param {string} reason */
  constructor(reason) {
    super(reason);
    this.name = "ConnectionLost";
  }
}

/** The peer connection did not come about, again and again. */
export class MediaLost extends Error {
  constructor() {
    super("the media connection did not come about");
    this.name = "MediaLost";
  }
}
