/**
 * How tiles share the stage. Pure: numbers in, numbers out.
 */

/** A camera picture is 16:9. Wider tiles would only show bars. */
export const WIDEST = 16 / 9;
/** Down to 4:3 a tile may crop the sides of a camera picture (a quarter of it); narrower would cut people off. */
export const NARROWEST = 4 / 3;
/** CSS pixels. Below this a name is no longer legible: the stage scrolls instead. */
export const TILE_WIDTH_MIN = 104;

/**
 * @typedef {object} Grid
 * @property {number} columns
 * @property {number} rows
 * @property {number} width   of one tile, CSS pixels
 * @property {number} height  of one tile, CSS pixels
 * @property {boolean} scrolls  true where the rows do not fit and the stage has to scroll
 */

/**
 * The largest tile that fits into a cell, within the allowed shapes.
 * @param {number} width
 * @param {number} height
 * @returns {{width: number, height: number}}
 */
function shape(width, height) {
  if (width > height * WIDEST) return { width: height * WIDEST, height };
  if (width < height * NARROWEST) return { width, height: width / NARROWEST };
  return { width, height };
}

/**
 * The grid whose tiles have the largest area.
 * @param {number} count   tiles; 0 gives an empty grid
 * @param {number} width   of the stage, CSS pixels
 * @param {number} height  of the stage, CSS pixels
 * @param {number} [gap]   between two tiles, CSS pixels
 * @returns {Grid}
 */
export function layout(count, width, height, gap = 8) {
  const none = { columns: 0, rows: 0, width: 0, height: 0, scrolls: false };
  if (count <= 0 || width <= 0 || height <= 0) return none;
  let best = none;
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const cellWidth = (width - gap * (columns - 1)) / columns;
    const cellHeight = (height - gap * (rows - 1)) / rows;
    if (cellWidth <= 0 || cellHeight <= 0) continue;
    const tile = shape(cellWidth, cellHeight);
    if (tile.width * tile.height > best.width * best.height) {
      best = { columns, rows, width: Math.floor(tile.width), height: Math.floor(tile.height), scrolls: false };
    }
  }
  return best.width >= Math.min(TILE_WIDTH_MIN, width) ? best : scrolling(count, width, gap);
}

/**
 * Many tiles on a small screen: as many columns as stay legible, and rows below the edge.
 * @param {number} count
 * @param {number} width
 * @param {number} gap
 * @returns {Grid}
 */
function scrolling(count, width, gap) {
  const columns = Math.max(1, Math.min(count, Math.floor((width + gap) / (TILE_WIDTH_MIN + gap))));
  const tileWidth = Math.floor((width - gap * (columns - 1)) / columns);
  const rows = Math.ceil(count / columns);
  return { columns, rows, width: tileWidth, height: Math.floor(tileWidth / NARROWEST), scrolls: true };
}
