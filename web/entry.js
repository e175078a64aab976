/**
 * What the address of the page says, how to get in, and where to go back to. Pure but for `devToken` and `roomsAddress`.
 *
 * @typedef {object} Entrance
 * @property {string} room
 * @property {string} name
 * @property {boolean} join        join without asking
 * @property {string} token        a grant from the fragment, or ""
 * @property {number} width        of the camera, ideal, pixels
 * @property {number} height
 * @property {boolean} processing  false: the microphone's sound as it is (`?processing=0`)
 */
import { ServerError } from "./wire.js";

/** Three layers of it are 540, 270 and 135 lines; the cheapest size in which Chromium sends three. */
const CAMERA_WIDTH = 960;
const CAMERA_HEIGHT = 540;
/** The name of a room that has an id of a control plane. */
const NUMBER = /^[1-9]\d{8}$/;
/** Beyond 4K a number in the address is a mistake. */
const PIXELS_MAX = 4096;

/**
 * @param {string | null} text
 * @param {number} usual
 */
function pixels(text, usual) {
  const number = Number(text);
  return Number.isInteger(number) && number >= 16 && number <= PIXELS_MAX ? number : usual;
}

/**
 * Room and name as a grant states them. Nothing is verified: that is the server's part.
 * @param {string} token
 * @returns {{room: string, name: string}}
 */
export function claimsOf(token) {
  try {
    const base64 = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const { room = "", name = "" } = JSON.parse(new TextDecoder().decode(bytes));
    return { room: String(room), name: String(name) };
  } catch {
    return { room: "", name: "" }; // the server will say what is wrong with it
  }
}

/**
 * @param {string} address
 * @returns {Entrance}
 */
export function entrance(address) {
  const url = new URL(address);
  const query = url.searchParams;
  const token = new URLSearchParams(url.hash.slice(1)).get("token") ?? "";
  const claims = claimsOf(token);
  return {
    room: claims.room || (query.get("room") ?? ""),
    name: claims.name || (query.get("name") ?? ""),
    join: query.get("join") === "1",
    token,
    width: pixels(query.get("width"), CAMERA_WIDTH),
    height: pixels(query.get("height"), CAMERA_HEIGHT),
    processing: query.get("processing") !== "0",
  };
}

/**
 * The WebSocket that belongs to this page.
 * @param {string} address
 */
export function socketUrl(address) {
  const url = new URL("/ws", address);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/**
 * The link for others. Never holds a grant.
 * @param {string} address
 * @param {string} room
 */
export function shareLink(address, room) {
  const { origin, pathname } = new URL(address);
  return `${origin}${pathname}?${new URLSearchParams({ room })}`;
}

/**
 * Where the control plane that this server belongs to has its pages; "" where there is none or it cannot be told.
 * @returns {Promise<string>}
 */
export async function roomsAddress() {
  try {
    const response = await fetch("page.json");
    return response.ok ? String((await response.json()).rooms) : "";
  } catch {
    return "";
  }
}

/**
 * The page that asks for a name and lets people into a room of a control plane; "" for what is no such room.
 * @param {string} rooms  as of `roomsAddress`
 * @param {string} room
 */
export function doorOf(rooms, room) {
  return /^https?:\/\//.test(rooms) && NUMBER.test(room) ? `${rooms}/join/${room}` : "";
}

/**
 * A room as people call it: a number of nine digits in groups of three.
 * @param {string} room
 */
export function roomWords(room) {
  return NUMBER.test(room) ? room.replace(/(?=(?:\d{3})+$)\B/g, " ") : room;
}

/**
 * A grant from a development server. Rejects with ServerError where there is none to have.
 * @param {string} room
 * @param {string} name
 * @returns {Promise<string>}
 */
export async function devToken(room, name) {
  const response = await fetch("/dev/token", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ room, name }),
  });
  if (response.ok) return (await response.json()).token;
  const refused = response.status === 404 || response.status === 405;
  throw new ServerError({
    type: "error",
    request: null,
    code: refused ? "unauthorized" : "overloaded",
    reason: `no token (${response.status})`,
  });
}
