/** The page kept on the phone: a service worker holds every file of it, so that it starts without a network. */

import { reason } from "./engine";

/**
 * Keep the page for later, and say what came of it.
 *
 * @param say Told one sentence for the person.
 * @param onUpdate Called when a newer version than the one running has been kept.
 */
export async function keepOffline(say: (text: string) => void, onUpdate: () => void): Promise<void> {
  if (!("serviceWorker" in navigator)) {
    say("This browser keeps no pages: it works as long as the server can be reached.");
    return;
  }
  const updated = navigator.serviceWorker.controller !== null;
  navigator.serviceWorker.addEventListener("controllerchange", () => updated && onUpdate());
  try {
    await navigator.serviceWorker.register("service-worker.js");
    await navigator.serviceWorker.ready;
    say("Kept on this phone: it works without a network. Add it to the home screen to start it like an app.");
  } catch (error) {
    say(`Not kept on this phone: ${reason(error)} Browsers keep pages of servers whose certificate they trust.`);
  }
}
