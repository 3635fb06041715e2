// The marks of a question on a photograph. Lengths are CSS pixels.
//
// A color stands for a question, a shape for a role: a ring is a point that was asked about, a cross
// one that was found. Everything has a dark and a light edge, so that it is legible on any photograph.

import { INK } from "./colours.js";

/** The canvas is larger than the photograph by this on each side: marks at the edge stay whole. */
export const MARGIN = 18;
/** The radius of a ring. */
export const RING = 9;
/** Half the width of a cross. */
export const CROSS = 7;
/** The dark edge. */
export const EDGE = "rgba(10, 8, 6, .62)";

/** The line from the asked to the found point, from the edge of the ring to the middle of the cross. */
export function drawLine(context, { colour, asked, found, isSelected }) {
  if (!asked || !found) return;
  const [dx, dy] = [found.x - asked.x, found.y - asked.y];
  const length = Math.hypot(dx, dy);
  if (length <= RING) return;
  const path = new Path2D();
  path.moveTo(asked.x + (dx * RING) / length, asked.y + (dy * RING) / length);
  path.lineTo(found.x, found.y);
  strokeWithEdges(context, path, colour, isSelected ? 2.5 : 1.5);
}

/** The asked point. Its pixel is left visible but for a dot. */
export function drawRing(context, { colour, asked, isSelected }) {
  if (!asked) return;
  strokeWithEdges(context, circle(asked, RING), colour, isSelected ? 3 : 2.25);
  context.fillStyle = "#fff";
  context.fill(circle(asked, 2.6));
  context.fillStyle = INK;
  context.fill(circle(asked, 1.5));
}

/** The found point. */
export function drawCross(context, { colour, found, isSelected }) {
  if (!found) return;
  const path = new Path2D();
  for (const side of [-1, 1]) {
    path.moveTo(found.x - CROSS, found.y - side * CROSS);
    path.lineTo(found.x + CROSS, found.y + side * CROSS);
  }
  strokeWithEdges(context, path, colour, isSelected ? 3 : 2.25);
}

/** A ring that grows around an asked point while its answer is awaited. */
export function drawPulse(context, { colour, asked }, phase) {
  if (!asked) return;
  context.save();
  context.globalAlpha = 1 - phase;
  context.strokeStyle = colour;
  context.lineWidth = 2.5;
  context.stroke(circle(asked, RING + 16 * phase));
  context.restore();
}

/** Lines across the photograph, open around the point. */
export function drawCrosshair(context, size, { x, y }) {
  const gap = 12;
  const path = circle({ x, y }, 3);
  const segments = [
    [0, y, x - gap, y],
    [x + gap, y, size.width, y],
    [x, 0, x, y - gap],
    [x, y + gap, x, size.height],
  ];
  for (const [fromX, fromY, toX, toY] of segments) {
    if (toX < fromX || toY < fromY) continue; // the gap reaches beyond the photograph
    path.moveTo(fromX, fromY);
    path.lineTo(toX, toY);
  }
  stroke(context, path, EDGE, 3.5);
  stroke(context, path, "#fff", 1.5);
}

function strokeWithEdges(context, path, colour, width) {
  stroke(context, path, EDGE, width + 4);
  stroke(context, path, "#fff", width + 2);
  stroke(context, path, colour, width);
}

function stroke(context, path, colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke(path);
}

function circle({ x, y }, radius) {
  const path = new Path2D();
  path.arc(x, y, radius, 0, 2 * Math.PI);
  return path;
}
