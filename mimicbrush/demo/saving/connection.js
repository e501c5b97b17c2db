// Says when the device is offline, the server does not answer, was restarted, or wants a login, and when all is well again.

const SECONDS = { usual: 15, lost: 3, patience: 20 };
const LOGGED_OUT = "";  // no server has this name

function watchConnection(say) {
  let server = null, isLost = false, timer = null;

  async function check() {
    clearTimeout(timer);
    const name = await serverName();
    if (name === null) {
      isLost = true;
      say(navigator.onLine
        ? "The server of this page does not answer. Your work stays here; this message goes when it is back."
        : "This device is offline. Your work stays here; go on when the connection is back.");
    } else if (name === LOGGED_OUT) {
      say("Your login has ended. Reload the page and log in again: picture, mask and settings come back.", "Reload");
    } else if (server !== null && name !== server) {
      say("The server of this page was restarted. Reload the page to go on: picture, mask and settings come back.", "Reload");
    } else if (isLost) {
      isLost = false;
      say("The connection is back.", null, 6);
    }
    if (name !== LOGGED_OUT) server ??= name;
    timer = setTimeout(check, 1000 * (isLost ? SECONDS.lost : SECONDS.usual));
  }

  async function serverName() {
    if (!navigator.onLine) return null;
    try {
      const answer = await fetch("startup/alive", { cache: "no-store", signal: AbortSignal.timeout(1000 * SECONDS.patience) });
      return answer.status === 401 ? LOGGED_OUT : answer.ok ? await answer.text() : null;
    } catch {
      return null;
    }
  }

  addEventListener("offline", check);
  addEventListener("online", check);
  check();
}
