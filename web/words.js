/**
 * What people are told when something fails: what happened, and what they can do. Pure.
 *
 * @typedef {{title: string, text: string}} Words
 */

/** Why a device did not open, by the name of the browser's exception. */
const DEVICE = /** @type {Record<string, (what: string) => Words>} */ ({
  NotAllowedError: (what) => ({
    title: `The browser may not use your ${what}`,
    text: "Allow it in the address bar (the lock or camera sign), then try again. You can also join and only listen.",
  }),
  NotFoundError: (what) => ({ title: `No ${what} found`, text: "Plug one in and try again, or join without it." }),
  NotReadableError: (what) => ({
    title: `Your ${what} is in use`,
    text: "Another program or tab holds it. Close that one and try again, or join without it.",
  }),
  OverconstrainedError: (what) => ({
    title: `The chosen ${what} is gone`,
    text: "It was unplugged, or cannot do what is asked. Choose another one.",
  }),
  InsecureContext: (what) => ({
    title: `This page may not use your ${what}`,
    text: "Browsers give camera and microphone only to secure pages: open it as http://localhost or with https://.",
  }),
});
const DEVICE_ALIASES = /** @type {Record<string, string>} */ ({
  SecurityError: "NotAllowedError",
  DevicesNotFoundError: "NotFoundError",
  TrackStartError: "NotReadableError",
  AbortError: "NotReadableError",
});

/**
 * @param {string} name  of the exception, or "InsecureContext"
 * @param {string} what  "camera", "microphone" or both in words
 * @returns {Words}
 */
export function deviceWords(name, what) {
  const words = DEVICE[DEVICE_ALIASES[name] ?? name];
  return words ? words(what) : { title: `Your ${what} did not start`, text: `The browser says: ${name}.` };
}

const CODES = /** @type {Record<string, Words>} */ ({
  room_full: { title: "The room is full", text: "Every seat is taken. Try again when somebody has left." },
  unauthorized: {
    title: "This link does not let you in",
    text: "It is not valid, or no longer. Ask for a new one.",
  },
  forbidden: { title: "You may not do that here", text: "Your invitation does not allow it." },
  rate_limited: { title: "That was too often", text: "Wait a moment, then try again." },
  overloaded: { title: "The server is busy", text: "It takes nobody new at the moment. Try again in a minute." },
  worker_lost: { title: "The media server restarted", text: "You are being connected again." },
  media_failed: {
    title: "Sound and picture did not get through",
    text: "A firewall or VPN may block UDP. Try another network, or tell your administrator.",
  },
  not_found: { title: "That is not there any more", text: "It may have just ended." },
  bad_offer: { title: "This browser and the server do not agree", text: "Update the browser, or try another one." },
  bad_message: { title: "The server did not understand this page", text: "Reload it: it may be out of date." },
  internal: { title: "The server made a mistake", text: "Try again; if it stays, tell your administrator." },
});

const ENDS = /** @type {Record<string, Words>} */ ({
  left: { title: "You left the call", text: "You can come back at any time." },
  removed: { title: "You were removed from the call", text: "Somebody who moderates it asked for that." },
  room_ended: { title: "The call is over", text: "It was ended for everyone, by its host or by whoever runs this server." },
  server_stopping: { title: "The server is stopping", text: "You will be connected again when it is back." },
});

/** Refusals in which only the server knows the rest: how many seats, whether the room is closed, who can help. */
const ASKED = new Set(["room_full", "unauthorized", "forbidden"]);

/** @param {string} code  of the protocol's list @param {string} [reason]  the server's own words @returns {Words} */
export function codeWords(code, reason = "") {
  const words = CODES[code];
  if (!words) return { title: "Something went wrong", text: reason || code };
  return reason && ASKED.has(code) ? { ...words, text: `${words.text} The server says: ${reason}.` } : words;
}

/** @param {string} reason  of an `ended` message @returns {Words} */
export function endWords(reason) {
  return ENDS[reason] ?? { title: "The call has ended", text: reason };
}

/**
 * Words for whatever stopped a call.
 * @param {unknown} error
 * @returns {Words}
 */
export function errorWords(error) {
  if (!(error instanceof Error)) return { title: "Something went wrong", text: String(error) };
  if (error.name === "MediaLost") return codeWords("media_failed");
  if (error.name === "ConnectionLost") {
    return { title: "The server cannot be reached", text: "Check your network, then try again." };
  }
  const { code } = /** @type {Error & {code?: unknown}} */ (error);
  if (typeof code === "string") return codeWords(code, error.message);
  return { title: "Something went wrong", text: error.message };
}

/**
 * Words for what we publish and the server does not take.
 * @param {import("./wire.js").Source[]} sources
 * @returns {Words}
 */
export function refusedWords(sources) {
  const what = sources.map((source) => (source === "camera" || source === "screen" ? source : "sound")).join(" and ");
  return {
    title: `Others cannot see or hear your ${what}`,
    text: "This browser does not have the format that this room uses. Try another browser.",
  };
}

/** Why a tile has no picture, by the reason in a `slots` message. */
const REASONS = /** @type {Record<string, string>} */ ({
  codec: "This browser cannot show this picture",
  muted: "Camera is off",
  bandwidth: "No picture: the network is too slow",
});

/** @param {string} reason */
export function reasonWords(reason) {
  return REASONS[reason] ?? "Picture is coming …";
}

/**
 * One or two letters for somebody without a picture.
 * @param {string} name
 */
export function initials(name) {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const letters = [words[0], words.length > 1 ? words[words.length - 1] : undefined];
  return letters.map((word) => (word ? [...word][0] : "")).join("").toUpperCase() || "?";
}
