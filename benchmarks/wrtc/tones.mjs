/** Makes tones and tells which one is heard. Pure. */

export const SAMPLE_RATE_HZ = 48_000;
export const WINDOW_MS = 10;
const SAMPLES = (SAMPLE_RATE_HZ * WINDOW_MS) / 1000;

/** 10 ms of a tone that holds whole periods in them. @param {number} hz @param {number} peak 0..32767 */
export function tone(hz, peak) {
  return Int16Array.from({ length: SAMPLES }, (_, at) => Math.round(peak * Math.sin((2 * Math.PI * hz * at) / SAMPLE_RATE_HZ)));
}

export const silence = () => new Int16Array(SAMPLES);

/** Tells tones apart that stand 100 Hz apart: in windows of 10 ms each is orthogonal to all others. */
export class Ear {
  /** @type {Map<number, {cos: Float64Array, sin: Float64Array}[]>} */
  #tables = new Map();
  #tones;
  #faint;

  /** @param {number[]} tonesHz @param {number} faint  a swing below this is silence */
  constructor(tonesHz, faint) {
    this.#tones = tonesHz;
    this.#faint = faint;
  }

  /** @param {number} rateHz @param {number} length */
  #table(rateHz, length) {
    const table = this.#tones.map((hz) => {
      const angle = (/** @type {number} */ at) => (2 * Math.PI * hz * at) / rateHz;
      return {
        cos: Float64Array.from({ length }, (_, at) => (2 / length) * Math.cos(angle(at))),
        sin: Float64Array.from({ length }, (_, at) => (2 / length) * Math.sin(angle(at))),
      };
    });
    this.#tables.set(rateHz, table);
    return table;
  }

  /**
   * The strongest tone of one channel of 10 ms and its swing; null in silence.
   * @param {Int16Array} samples @param {number} rateHz
   * @returns {[number, number] | null}  its place in the list, its swing
   */
  hear(samples, rateHz) {
    const limit = this.#faint / 4;
    if (!samples.some((sample) => sample > limit || sample < -limit)) return null;
    const table = this.#tables.get(rateHz) ?? this.#table(rateHz, samples.length);
    let best = 0, most = 0;
    table.forEach(({ cos, sin }, index) => {
      let real = 0, imaginary = 0;
      for (let at = 0; at < samples.length; at++) {
        real += samples[at] * cos[at];
        imaginary += samples[at] * sin[at];
      }
      const swing = Math.hypot(real, imaginary);
      if (swing > most) [best, most] = [index, swing];
    });
    return most >= this.#faint ? [best, Math.round(most)] : null;
  }
}
