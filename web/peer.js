/**
 * One RTCPeerConnection: what we publish, the slots we receive in, and one offer after another.
 *
 * @typedef {import("./wire.js").Source} Source
 * @typedef {{mid: string, kind: "audio" | "video", track: MediaStreamTrack}} Slot
 */

import { playsStereo } from "./stereo.js";

/** Three sizes of the camera, so that the server has a small picture for a small tile. */
const SIMULCAST = [{ rid: "q", scaleResolutionDownBy: 4 }, { rid: "h", scaleResolutionDownBy: 2 }, { rid: "f" }];
/** Of these Chromium sends the smallest size alone, unless every size says that it is no part of another. */
const LAYERED = new Set(["VP9", "AV1"]);

export class Peer {
  /** @type {Map<Source, RTCRtpTransceiver>} */
  #published = new Map();
  /** @type {RTCRtpTransceiver[]} */
  #slots = [];
  /** @type {Promise<void>} */
  #turn = Promise.resolve();
  /** @type {RTCRtpEncodingParameters[]} */
  #sizes;

  /**
   * @param {RTCIceServer[]} iceServers
   * @param {(state: RTCPeerConnectionState) => void} onState
   * @param {string} [codec]  the room's
   */
  constructor(iceServers, onState, codec = "VP8") {
    const mode = LAYERED.has(codec) ? { scalabilityMode: "L1T1" } : {};
    this.#sizes = SIMULCAST.map((size) => ({ ...size, ...mode }));
    this.pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.pc.onconnectionstatechange = () => onState(this.pc.connectionState);
  }

  /**
   * Ask for slots until there are so many. They exist after the next `negotiate`.
   * @param {number} audio
   * @param {number} video
   */
  wantSlots(audio, video) {
    this.#fill("audio", audio);
    this.#fill("video", video);
  }

  /** @param {"audio" | "video"} kind @param {number} count */
  #fill(kind, count) {
    for (let have = this.#ofKind(kind).length; have < count; have++) {
      this.#slots.push(this.pc.addTransceiver(kind, { direction: "recvonly" }));
    }
  }

  /** @param {"audio" | "video"} kind */
  #ofKind(kind) {
    return this.#slots.filter((slot) => slot.receiver.track.kind === kind);
  }

  /** @param {"audio" | "video"} kind @returns {number} slots of that kind, negotiated or not */
  count(kind) {
    return this.#ofKind(kind).length;
  }

  /**
   * The negotiated slots, in the order of their m-sections.
   * @returns {Slot[]}
   */
  slots() {
    return this.#slots.flatMap((slot) => {
      const { track } = slot.receiver;
      const open = slot.mid !== null && slot.currentDirection === "recvonly";
      return open ? [{ mid: /** @type {string} */ (slot.mid), kind: /** @type {any} */ (track.kind), track }] : [];
    });
  }

  /** @param {Source} source */
  publishes(source) {
    return this.#taken(source) !== undefined;
  }

  /** @param {Source} source @returns {RTCRtpTransceiver | undefined}  none where the server refused it */
  #taken(source) {
    const known = this.#published.get(source);
    return known?.currentDirection === "stopped" ? undefined : known;
  }

  /**
   * Send this track as that source; null sends nothing and keeps the m-section.
   * @param {Source} source
   * @param {MediaStreamTrack | null} track
   * @returns {Promise<boolean>}  true where an offer is needed now
   */
  async publish(source, track) {
    const known = this.#taken(source);
    if (known) {
      await known.sender.replaceTrack(track);
      return false;
    }
    const sendEncodings = source === "camera" ? this.#sizes : [];
    const what = track ?? (source === "camera" || source === "screen" ? "video" : "audio");
    this.#published.set(source, this.pc.addTransceiver(what, { direction: "sendonly", sendEncodings }));
    return true;
  }

  /**
   * Publish that source no more; its m-section ends with the next offer.
   * @param {Source} source
   * @returns {boolean}  true where an offer is needed now
   */
  withdraw(source) {
    const known = this.#published.get(source);
    known?.stop();
    return this.#published.delete(source);
  }

  /**
   * Offer what stands, one offer at a time. The offer leaves before candidates are gathered: the server is ICE-lite
   * and learns our address from our checks.
   * @param {(offer: {sdp: string, sources: Record<string, Source>}) => Promise<string>} exchange  gives the answer
   * @returns {Promise<void>}  rejects with what `exchange` rejects with; then the offer is taken back
   */
  negotiate(exchange) {
    const turn = this.#turn.then(() => this.#negotiate(exchange));
    this.#turn = turn.catch(() => undefined); // the caller hears of it; the next offer must not
    return turn;
  }

  /** @param {(offer: {sdp: string, sources: Record<string, Source>}) => Promise<string>} exchange */
  async #negotiate(exchange) {
    if (this.pc.signalingState === "closed") return;
    const { type, sdp: offered = "" } = await this.pc.createOffer();
    await this.pc.setLocalDescription({ type, sdp: playsStereo(offered) });
    /** @type {Record<string, Source>} */
    const sources = {};
    for (const [source, { mid }] of this.#published) if (mid !== null) sources[mid] = source;
    try {
      const sdp = await exchange({ sdp: this.pc.localDescription?.sdp ?? "", sources });
      await this.pc.setRemoteDescription({ type: "answer", sdp });
    } catch (error) {
      if (this.pc.signalingState === "have-local-offer") await this.pc.setLocalDescription({ type: "rollback" });
      throw error;
    }
  }

  close() {
    this.pc.onconnectionstatechange = null;
    this.pc.close();
  }
}
