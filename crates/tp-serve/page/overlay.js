// Draws what was asked and found over a photograph: markers, lines, distances, the crosshair and the heat-map.
//
// A color stands for a question, a shape for a role: a ring is a point that was asked about, a cross one that was
// found. Everything has a light and a dark edge, so that it is legible on any photograph.

import { INK, markerColour } from "./colours.js";
import { pixels } from "./sentences.js";

/** CSS pixels that the canvas is wider than the photograph, on each side: markers at the edge stay whole. */
export const MARGIN = 18;

const RING = 9;
const CROSS = 7;
const EDGE = "rgba(10, 8, 6, .62)";
const FONT = "600 12px system-ui, sans-serif";

/**
 * Draws a scene.
 *
 * @param context of a canvas that is `MARGIN` larger than the photograph, scaled to CSS pixels
 * @param size of the photograph on the screen, `{ width, height }` in CSS pixels
 * @param toScreen from a pixel of the image to CSS pixels on the photograph
 * @param scene `{ questions, selected, heat: { picture, strength } | null, crosshair: pixel | null }`
 * @param pulse from 0 to 1, the phase of the waiting markers; null if motion is not wanted
 */
export function drawScene(context, size, toScreen, scene, pulse) {
  context.clearRect(0, 0, size.width + 2 * MARGIN, size.height + 2 * MARGIN);
  context.save();
  context.translate(MARGIN, MARGIN);
  if (scene.heat) drawHeat(context, size, scene.heat);
  if (scene.crosshair) drawCrosshair(context, size, toScreen(scene.crosshair));

  // The selected question is drawn last, above the others, and its label has the first choice of a place.
  const order = [...scene.questions].sort((one, other) => (one === scene.selected) - (other === scene.selected));
  const marks = order.map((question) => ({
    question,
    colour: markerColour(question.number),
    asked: question.asked && toScreen(question.asked),
    found: question.found ? toScreen(question.found) : null,
    isSelected: question === scene.selected,
  }));
  for (const mark of marks) drawLine(context, mark);
  for (const mark of marks) drawMarks(context, mark, pulse);
  const taken = [];
  for (const mark of marks.toReversed()) drawLabels(context, size, mark, taken);
  context.restore();
}

function drawHeat(context, size, { picture, strength }) {
  context.save();
  context.globalAlpha = strength;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, size.width, size.height);
  context.restore();
}

/** Strokes a path dark, then light, then in its color. */
function strokeWithEdges(context, path, colour, width) {
  const strokes = [
    [EDGE, width + 4],
    ["#fff", width + 2],
    [colour, width],
  ];
  for (const [style, lineWidth] of strokes) {
    context.strokeStyle = style;
    context.lineWidth = lineWidth;
    context.stroke(path);
  }
}

function drawLine(context, { colour, asked, found, isSelected }) {
  if (!asked || !found) return;
  const [dx, dy] = [found.x - asked.x, found.y - asked.y];
  const length = Math.hypot(dx, dy);
  if (length <= RING) return;
  // From the edge of the ring to the center of the cross.
  const path = new Path2D();
  path.moveTo(asked.x + (dx * RING) / length, asked.y + (dy * RING) / length);
  path.lineTo(found.x, found.y);
  context.save();
  context.lineCap = "round";
  strokeWithEdges(context, path, colour, isSelected ? 2.5 : 1.5);
  context.restore();
}

function drawMarks(context, { question, colour, asked, found, isSelected }, pulse) {
  context.save();
  context.lineCap = "round";
  const width = isSelected ? 3 : 2.25;
  if (asked) {
    if (question.isWaiting && pulse !== null) drawPulse(context, asked, colour, pulse);
    strokeWithEdges(context, circle(asked, RING), colour, width);
    context.fillStyle = "#fff";
    context.fill(circle(asked, 2.6));
    context.fillStyle = INK;
    context.fill(circle(asked, 1.5));
  }
  if (found) {
    const cross = new Path2D();
    for (const side of [-1, 1]) {
      cross.moveTo(found.x - CROSS, found.y - side * CROSS);
      cross.lineTo(found.x + CROSS, found.y + side * CROSS);
    }
    strokeWithEdges(context, cross, colour, width);
  }
  context.restore();
}

function drawPulse(context, center, colour, phase) {
  context.save();
  context.globalAlpha = 1 - phase;
  context.strokeStyle = colour;
  context.lineWidth = 2.5;
  context.stroke(circle(center, RING + 16 * phase));
  context.restore();
}

/** The number of a question, and its distance if there is room. `taken` are the rectangles of labels so far. */
function drawLabels(context, size, { question, colour, asked, found, isSelected }, taken) {
  const at = asked ?? found;
  if (!at) return;
  context.save();
  context.font = FONT;
  context.textAlign = "center";
  context.textBaseline = "middle";

  const number = String(question.number);
  const width = Math.max(18, context.measureText(number).width + 11);
  const reach = RING + 5;
  const corners = [[1, -1], [-1, -1], [1, 1], [-1, 1]].map(([right, down]) => ({
    x: at.x + right * (reach + width / 2 - 4),
    y: at.y + down * reach,
    width,
    height: 18,
  }));
  const isAway = (box) => !found || !asked || !overlaps(box, { ...found, width: 2 * CROSS + 4, height: 2 * CROSS + 4 });
  const box = corners.find((box) => isInside(box, size) && isFree(box, taken) && isAway(box)) ?? corners.find((box) => isInside(box, size)) ?? corners[0];
  taken.push(box);
  fillBox(context, box, colour);
  context.fillStyle = INK;
  context.fillText(number, box.x, box.y + 0.5);

  if (asked && found && question.distance != null) {
    const text = pixels(question.distance);
    const label = { width: context.measureText(text).width + 14, height: 20 };
    const middle = { x: (asked.x + found.x) / 2, y: (asked.y + found.y) / 2 };
    const places = [
      ...(Math.hypot(asked.x - found.x, asked.y - found.y) > label.width + 4 * RING ? [middle] : []),
      { x: found.x, y: found.y + CROSS + 17 },
      { x: found.x, y: found.y - CROSS - 17 },
      { x: found.x + CROSS + 8 + label.width / 2, y: found.y },
      { x: found.x - CROSS - 8 - label.width / 2, y: found.y },
    ].map((center) => ({ ...center, ...label }));
    const ring = { ...asked, width: 2 * RING + 6, height: 2 * RING + 6 };
    const isGood = (box) => isInside(box, size) && isFree(box, taken) && !overlaps(box, ring);
    const free = places.find(isGood) ?? (isSelected ? places.find((box) => isInside(box, size)) : null);
    if (free) {
      taken.push(free);
      fillBox(context, free, INK);
      context.fillStyle = "#fff";
      context.fillText(text, free.x, free.y + 0.5);
    }
  }
  context.restore();
}

/** A label's ground, with a light edge. Boxes are given by their center. */
function fillBox(context, box, colour) {
  const path = new Path2D();
  path.roundRect(box.x - box.width / 2, box.y - box.height / 2, box.width, box.height, box.height / 2);
  context.strokeStyle = EDGE;
  context.lineWidth = 4;
  context.stroke(path);
  context.strokeStyle = "#fff";
  context.lineWidth = 2;
  context.stroke(path);
  context.fillStyle = colour;
  context.fill(path);
}

function drawCrosshair(context, size, { x, y }) {
  const GAP = 12;
  const path = new Path2D();
  const segments = [
    [0, y, x - GAP, y],
    [x + GAP, y, size.width, y],
    [x, 0, x, y - GAP],
    [x, y + GAP, x, size.height],
  ];
  for (const [fromX, fromY, toX, toY] of segments) {
    if (toX < fromX || toY < fromY) continue; // the gap reaches beyond the edge
    path.moveTo(fromX, fromY);
    path.lineTo(toX, toY);
  }
  path.addPath(circle({ x, y }, 3));
  context.save();
  context.strokeStyle = EDGE;
  context.lineWidth = 3.5;
  context.stroke(path);
  context.strokeStyle = "#fff";
  context.lineWidth = 1.5;
  context.stroke(path);
  context.restore();
}

function circle({ x, y }, radius) {
  const path = new Path2D();
  path.arc(x, y, radius, 0, 2 * Math.PI);
  return path;
}

function isInside(box, size) {
  const [right, down] = [box.width / 2 - MARGIN + 4, box.height / 2 - MARGIN + 4];
  return box.x >= right && box.x <= size.width - right && box.y >= down && box.y <= size.height - down;
}

const isFree = (box, taken) => taken.every((other) => !overlaps(box, other));

function overlaps(one, other) {
  return (
    Math.abs(one.x - other.x) < (one.width + other.width) / 2 + 2 &&
    Math.abs(one.y - other.y) < (one.height + other.height) / 2 + 2
  );
}
