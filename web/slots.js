/**
 * Which slot shows whom, and what has to be said to the server about it. Pure.
 *
 * @typedef {import("./wire.js").Target} Target
 * @typedef {import("./wire.js").SlotView} SlotView
 */

/** A first offer asks for this many video slots: what a usual layout shows. More makes every first offer longer. */
export const VIDEO_SLOTS_FIRST = 9;
/** A room has 40 seats. More slots would only lengthen the offer (5 kB each in Chromium). */
export const VIDEO_SLOTS_MAX = 40;
/** Slots grow by this many, so that not every arrival costs an offer. */
export const VIDEO_SLOTS_STEP = 4;
/** As many voices at once as one can tell apart; the server ranks the loudest into them. */
export const AUDIO_SLOTS = 3;
/**
 * The server sends the largest layer that is not above the wished height. We wish for a third more than the tile
 * has, so that a layer is enlarged at most 1.5 times before the next one is asked for. 1 would look soft, 2 would
 * fetch four times the pixels that are shown.
 */
const HEIGHT_FACTOR = 4 / 3;
/** Wishes are rounded to this many pixels: dragging a window edge shall not send a message for every pixel. */
const HEIGHT_STEP = 30;

/** @param {Target} target */
export const keyOf = (target) => `${target.participant}/${target.source}`;

/**
 * How many video slots to have for so many pictures: never fewer than the first offer asked for.
 * @param {number} pictures
 */
export function slotsNeeded(pictures) {
  const more = Math.max(0, pictures - VIDEO_SLOTS_FIRST);
  return Math.min(VIDEO_SLOTS_MAX, VIDEO_SLOTS_FIRST + Math.ceil(more / VIDEO_SLOTS_STEP) * VIDEO_SLOTS_STEP);
}

/**
 * The height to wish for.
 * @param {number} tileHeight  CSS pixels
 * @param {number} pixelRatio  device pixels in one CSS pixel
 */
export function wishedHeight(tileHeight, pixelRatio) {
  const pixels = tileHeight * pixelRatio * HEIGHT_FACTOR;
  return Math.max(HEIGHT_STEP, Math.ceil(pixels / HEIGHT_STEP) * HEIGHT_STEP);
}

/**
 * Give each target a slot. A target keeps the slot it has, since moving it costs a key frame; the others take free
 * slots in order, so the first targets win where slots are few.
 * @param {Target[]} targets              most wanted first
 * @param {string[]} mids                 the slots there are
 * @param {Map<string, Target>} previous  mid -> target until now
 * @returns {Map<string, Target>}  mid -> target; a mid that is missing shows nothing
 */
export function assign(targets, mids, previous) {
  const wanted = new Map(targets.slice(0, mids.length).map((target) => [keyOf(target), target]));
  /** @type {Map<string, Target>} */
  const result = new Map();
  for (const mid of mids) {
    const before = previous.get(mid);
    if (before && wanted.delete(keyOf(before))) result.set(mid, before);
  }
  const free = mids.filter((mid) => !result.has(mid));
  for (const target of wanted.values()) result.set(/** @type {string} */ (free.shift()), target);
  return result;
}

/**
 * What to say: only the slots whose wish differs from the one sent last.
 * @param {SlotView[]} wishes
 * @param {Map<string, SlotView>} sent  mid -> what was sent last
 */
export function changedWishes(wishes, sent) {
  return wishes.filter((wish) => {
    const before = sent.get(wish.mid) ?? { mid: wish.mid, show: null };
    return JSON.stringify([wish.show, wish.show && wish.max_height]) !==
      JSON.stringify([before.show, before.show && before.max_height]);
  });
}
