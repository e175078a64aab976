/**
 * Paints and reads the pictures of tests/media.py as I420 planes. The layout must stay alike in both (and in
 * tests/browser/painter.js). Pure.
 *
 * @typedef {{width: number, height: number, data: Uint8ClampedArray}} Picture  Y, U and V plane in a row
 */

const COLUMNS = 10, BLOCK_ROWS = 6, BITS = 20, CHECK_SALT = 0b1010, DARK = 96, LIGHT = 160;
const BLACK = 16, WHITE = 235, SQUARE = 214; // limited range

/** @param {number} word */
const check = (word) => ((word ^ (word >> 4) ^ (word >> 8) ^ (word >> 12)) & 15) ^ CHECK_SALT;

/** hsv(hue, 0.75, 0.8) as limited-range BT.601. @param {number} hueDeg @returns {[number, number, number]} */
function colour(hueDeg) {
  const channel = (/** @type {number} */ n) => {
    const k = (n + hueDeg / 60) % 6;
    return 255 * 0.8 * (1 - 0.75 * Math.max(0, Math.min(k, 4 - k, 1)));
  };
  const [r, g, b] = [channel(5), channel(3), channel(1)];
  return [
    16 + (65.738 * r + 129.057 * g + 25.064 * b) / 256,
    128 + (-37.945 * r - 74.494 * g + 112.439 * b) / 256,
    128 + (112.439 * r - 94.154 * g - 18.285 * b) / 256,
  ];
}

/** Paints one person's pictures. Width and height must be divisible by 20 and 12, so that blocks end on whole pixels. */
export class Painter {
  #background;

  /** @param {number} width @param {number} height @param {number} hueDeg @param {number} source 0..15 */
  constructor(width, height, hueDeg, source) {
    this.width = width;
    this.height = height;
    this.source = source;
    const [y, u, v] = colour(hueDeg);
    const pixels = width * height;
    this.#background = new Uint8ClampedArray((pixels * 3) / 2).fill(y, 0, pixels).fill(u, pixels, (pixels * 5) / 4);
    this.#background.fill(v, (pixels * 5) / 4);
  }

  /** @param {number} number  of the frame @returns {Picture} */
  paint(number) {
    const { width, height } = this;
    const data = this.#background.slice();
    const plain = ((this.source & 15) << 12) | (number & 4095);
    const word = (plain << 4) | check(plain);
    const blockWidth = width / COLUMNS, blockHeight = height / BLOCK_ROWS;
    for (let index = 0; index < BITS; index++) {
      const lit = (word >> (BITS - 1 - index)) & 1;
      const left = (index % COLUMNS) * blockWidth, top = Math.floor(index / COLUMNS) * blockHeight;
      this.#fill(data, left, top, blockWidth, blockHeight, lit ? WHITE : BLACK);
    }
    const left = Math.round((number * width) / 40) % (width - blockHeight);
    this.#fill(data, left & ~1, Math.round(2.5 * blockHeight) & ~1, blockHeight, blockHeight, SQUARE);
    return { width, height, data };
  }

  /**
   * A grey rectangle; its chroma is 128.
   * @param {Uint8ClampedArray} data
   * @param {number} left @param {number} top @param {number} across @param {number} down  pixels
   * @param {number} luma
   */
  #fill(data, left, top, across, down, luma) {
    const pixels = this.width * this.height, half = this.width / 2;
    for (let row = top; row < top + down; row++) data.fill(luma, row * this.width + left, row * this.width + left + across);
    for (const plane of [pixels, (pixels * 5) / 4])
      for (let row = top >> 1; row < (top + down) >> 1; row++)
        data.fill(128, plane + row * half + (left >> 1), plane + row * half + ((left + across) >> 1));
  }
}

/**
 * The mean of a square of a plane.
 * @param {Uint8ClampedArray} data
 * @param {number} plane  where it begins
 * @param {number} stride
 * @param {number} x @param {number} y  its middle
 * @param {number} reach  pixels to each side
 */
function mean(data, plane, stride, x, y, reach) {
  let sum = 0;
  for (let row = y - reach; row < y + reach; row++)
    for (let at = plane + row * stride + x - reach, end = at + 2 * reach; at < end; at++) sum += data[at];
  return sum / (4 * reach * reach);
}

/** The hue in degrees, -1 for grey. @param {number} y @param {number} u @param {number} v */
function hueOf(y, u, v) {
  const luma = 1.164 * (y - 16);
  const r = luma + 1.596 * (v - 128), g = luma - 0.813 * (v - 128) - 0.391 * (u - 128), b = luma + 2.018 * (u - 128);
  const high = Math.max(r, g, b), spread = high - Math.min(r, g, b);
  if (spread < 0.25 * high || high < 51) return -1;
  const sixth = high === r ? ((g - b) / spread + 6) % 6 : high === g ? (b - r) / spread + 2 : (r - g) / spread + 4;
  return Math.round(sixth * 60);
}

/**
 * What a picture says of itself; source -1 where it cannot be read with certainty.
 * @param {Picture} picture
 * @returns {{source: number, hue: number, number: number}}
 */
export function read({ width, height, data }) {
  const reach = Math.max(1, Math.floor(width / COLUMNS / 6));
  let word = 0;
  for (let index = 0; index < BITS; index++) {
    const x = Math.floor(((index % COLUMNS) + 0.5) * (width / COLUMNS));
    const y = Math.floor((Math.floor(index / COLUMNS) + 0.5) * (height / BLOCK_ROWS));
    const level = mean(data, 0, width, x, y, reach);
    if (level > DARK && level < LIGHT) return { source: -1, hue: -1, number: -1 };
    word = (word << 1) | (level >= LIGHT ? 1 : 0);
  }
  const plain = word >> 4;
  if ((word & 15) !== check(plain)) return { source: -1, hue: -1, number: -1 };
  const pixels = width * height, half = width >> 1, x = half >> 1, y = Math.floor((5 * height) / 12);
  const u = mean(data, pixels, half, x, y, 4), v = mean(data, (pixels * 5) / 4, half, x, y, 4);
  return { source: plain >> 12, hue: hueOf(mean(data, 0, width, half, 2 * y, 8), u, v), number: plain & 4095 };
}
