// Server-sent events out of the body of a response. `EventSource` cannot send a photograph, `fetch` can.
// Format: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream

/**
 * The events of a response, in order, as `{ event, data }`; `data` is parsed JSON.
 * An event that the end of the stream cuts off is dropped, as the standard demands.
 */
export async function* readEvents(response) {
  let event = "";
  let data = [];
  for await (const line of readLines(response.body)) {
    if (line === "") {
      if (data.length > 0) yield { event: event || "message", data: JSON.parse(data.join("\n")) };
      event = "";
      data = [];
      continue;
    }
    const colon = line.indexOf(":");
    if (colon === 0) continue; // a comment, which keeps the connection open
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") event = value;
    if (field === "data") data.push(value);
  }
}

/** The complete lines of a stream of UTF-8 bytes. A line ends with "\n", "\r\n" or "\r". */
async function* readLines(stream) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += decoder.decode(value, { stream: !done });
      // A "\r" at the very end may be half of a "\r\n".
      const held = !done && rest.endsWith("\r") ? "\r" : "";
      const lines = rest.slice(0, rest.length - held.length).split(/\r\n|\n|\r/);
      rest = lines.pop() + held;
      yield* lines;
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {}); // whoever stops reading stops the server, too
  }
}
