// What is drawn over a photograph: the heat-map, the crosshair, and the marks of every question.

import { markerColour } from "./colours.js";
import { drawDistance, drawNumber } from "./labels.js";
import { MARGIN, drawCross, drawCrosshair, drawLine, drawPulse, drawRing } from "./marks.js";

/**
 * Draws a scene.
 *
 * @param context of a canvas that is `MARGIN` larger than the photograph, scaled to CSS pixels
 * @param size of the photograph on the screen, `{ width, height }` in CSS pixels
 * @param toScreen from a pixel of the image to CSS pixels on the photograph
 * @param scene `{ questions, selected, heat: { picture, strength } or null, crosshair: a pixel or null }`
 * @param pulse the phase of waiting marks from 0 to 1; null if they do not move
 */
export function drawScene(context, size, toScreen, scene, pulse) {
  context.clearRect(0, 0, size.width + 2 * MARGIN, size.height + 2 * MARGIN);
  context.save();
  context.translate(MARGIN, MARGIN);
  context.lineCap = "round";
  if (scene.heat) drawHeat(context, size, scene.heat);
  if (scene.crosshair) drawCrosshair(context, size, toScreen(scene.crosshair));

  const marks = scene.questions.map((question) => ({
    number: question.number,
    colour: markerColour(question.number),
    asked: question.asked && toScreen(question.asked),
    found: question.found ? toScreen(question.found) : null,
    distance: question.distance,
    isWaiting: question.isWaiting,
    isSelected: question === scene.selected,
  }));
  // The selected question is above the others, and its labels have the first choice of a place.
  marks.sort((one, other) => one.isSelected - other.isSelected);
  for (const mark of marks) drawLine(context, mark);
  for (const mark of marks) {
    if (mark.isWaiting && pulse !== null) drawPulse(context, mark, pulse);
    drawRing(context, mark);
    drawCross(context, mark);
  }
  const taken = [];
  for (const mark of marks.toReversed()) {
    drawNumber(context, size, mark, taken);
    drawDistance(context, size, mark, taken);
  }
  context.restore();
}

function drawHeat(context, size, { picture, strength }) {
  context.save();
  context.globalAlpha = strength;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, size.width, size.height);
  context.restore();
}
