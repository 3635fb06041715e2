// The labels of a question on a photograph: its number, and the distance between its points.
//
// A label takes the first of its places that is on the canvas and free of earlier labels. Boxes are
// `{ x, y, width, height }` in CSS pixels, with (x, y) in the middle.

import { INK } from "./colours.js";
import { CROSS, EDGE, MARGIN, RING } from "./marks.js";
import { pixels } from "./sentences.js";

const FONT = "600 12px system-ui, sans-serif";

/** Draws the number at a corner of the asked point, or of the found one if none was asked about. */
export function drawNumber(context, size, { number, colour, asked, found }, taken) {
  const at = asked ?? found;
  if (!at) return;
  const box = { width: Math.max(18, textWidth(context, number) + 11), height: 18 };
  const right = RING + 1 + box.width / 2;
  const down = RING + 5;
  const places = [
    { x: at.x + right, y: at.y - down, ...box },
    { x: at.x - right, y: at.y - down, ...box },
    { x: at.x + right, y: at.y + down, ...box },
    { x: at.x - right, y: at.y + down, ...box },
  ].filter((place) => isOnCanvas(place, size));
  const cross = asked && found ? [square(found, 2 * CROSS + 4)] : [];
  const place = places.find((place) => isFree(place, [...taken, ...cross])) ?? places[0];
  if (place) drawLabel(context, place, String(number), INK, colour, taken);
}

/** Draws the distance in the middle of a long line, else beside the found point; nothing if there is no room. */
export function drawDistance(context, size, { asked, found, distance, isSelected }, taken) {
  if (!asked || !found) return;
  const text = pixels(distance);
  const box = { width: textWidth(context, text) + 14, height: 20 };
  const isLong = Math.hypot(found.x - asked.x, found.y - asked.y) > box.width + 4 * RING;
  const middle = { x: (asked.x + found.x) / 2, y: (asked.y + found.y) / 2, ...box };
  const right = CROSS + 8 + box.width / 2;
  const down = CROSS + 17;
  const places = [
    ...(isLong ? [middle] : []),
    { x: found.x, y: found.y + down, ...box },
    { x: found.x, y: found.y - down, ...box },
    { x: found.x + right, y: found.y, ...box },
    { x: found.x - right, y: found.y, ...box },
  ].filter((place) => isOnCanvas(place, size));
  const ring = square(asked, 2 * RING + 6);
  const free = places.find((place) => isFree(place, [...taken, ring]));
  const place = free ?? (isSelected ? places[0] : undefined);
  if (place) drawLabel(context, place, text, "#fff", INK, taken);
}

function drawLabel(context, box, text, colour, ground, taken) {
  taken.push(box);
  const [left, top] = [box.x - box.width / 2, box.y - box.height / 2];
  const path = new Path2D();
  path.roundRect(left, top, box.width, box.height, box.height / 2);
  context.save();
  context.strokeStyle = EDGE;
  context.lineWidth = 4;
  context.stroke(path);
  context.strokeStyle = "#fff";
  context.lineWidth = 2;
  context.stroke(path);
  context.fillStyle = ground;
  context.fill(path);
  context.font = FONT;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = colour;
  context.fillText(text, box.x, box.y + 0.5);
  context.restore();
}

function textWidth(context, text) {
  context.font = FONT;
  return context.measureText(text).width;
}

function square({ x, y }, side) {
  return { x, y, width: side, height: side };
}

/** Whether a label is whole, with its edges, on the photograph or the margin around it. */
function isOnCanvas({ x, y, width, height }, size) {
  const beyond = MARGIN - 4;
  const isWithin = (center, length, total) =>
    center - length / 2 >= -beyond && center + length / 2 <= total + beyond;
  return isWithin(x, width, size.width) && isWithin(y, height, size.height);
}

function isFree(box, others) {
  const gap = 2;
  return others.every(
    (other) =>
      Math.abs(box.x - other.x) >= (box.width + other.width) / 2 + gap ||
      Math.abs(box.y - other.y) >= (box.height + other.height) / 2 + gap,
  );
}
