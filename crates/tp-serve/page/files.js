// A photograph from outside: chosen, dropped anywhere on the page, or pasted.

/**
 * Calls `onFile` with a file, and `onOther` if what was dropped is none.
 *
 * @param elements `{ input, curtain }`: the file input, and what covers the page while a file is over it
 */
export function receiveFiles({ input, curtain }, onFile, onOther) {
  input.addEventListener("change", () => {
    if (input.files.length > 0) onFile(input.files[0]);
    input.value = ""; // the same file may be chosen again
  });

  const hasFiles = (event) => event.dataTransfer?.types.includes("Files") ?? false;
  document.addEventListener("dragover", (event) => {
    event.preventDefault(); // else the browser leaves the page for the file
    curtain.hidden = !hasFiles(event);
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) curtain.hidden = true; // the pointer left the window
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    curtain.hidden = true;
    const [file] = event.dataTransfer?.files ?? [];
    if (file) onFile(file);
    else onOther();
  });

  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData?.files ?? [];
    if (!file) return; // text belongs to the field that has the focus
    event.preventDefault();
    onFile(file);
  });
}
