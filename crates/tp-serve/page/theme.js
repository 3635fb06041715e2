// Light or dark: as the system has it, until somebody presses the button. The choice is kept in the browser.
//
// This module is loaded before the page is drawn, so that a kept choice does not flash.

const KEY = "talking-points-theme";

/** "light" or "dark" if somebody has chosen, else null. */
function kept() {
  try {
    const theme = localStorage.getItem(KEY);
    return theme === "light" || theme === "dark" ? theme : null;
  } catch {
    return null; // storage is switched off
  }
}

function keep(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // The choice lasts as long as the page.
  }
}

const system = matchMedia("(prefers-color-scheme: dark)");

/** Whether the page is dark now. */
function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : system.matches;
}

const chosen = kept();
if (chosen) document.documentElement.dataset.theme = chosen;

/** Makes a button switch between light and dark. */
export function connectThemeButton(button) {
  const show = () => {
    button.setAttribute("aria-pressed", String(isDark()));
    button.querySelector("use").setAttribute("href", `icons.svg#${isDark() ? "light" : "dark"}`);
  };
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    keep(theme);
    show();
  });
  system.addEventListener("change", show);
  show();
}
