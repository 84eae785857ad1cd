// Asks the server for the state of its engines.

const ADDRESS = new URL("../v1/lengthwise/state", import.meta.url);
const KEY = "lengthwise-key";
const PATIENCE_MS = 5000;

/** The server wants an API key, or another one than it got. */
export class KeyWanted extends Error {}

export const keepKey = (key) => sessionStorage.setItem(KEY, key);
export const hasKey = () => sessionStorage.getItem(KEY) !== null;

/**
 * The state of each engine; `rows` requests and `decisions` decisions of each at most.
 *
 * Throws KeyWanted, or an Error that says in a line what is wrong.
 */
export async function ask(rows, decisions) {
  ADDRESS.search = new URLSearchParams({ rows, decisions }).toString();
  const key = sessionStorage.getItem(KEY);
  let answer;
  try {
    answer = await fetch(ADDRESS, {
      headers: key === null ? {} : { Authorization: `Bearer ${key}` },
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch {
    throw new Error("the server does not answer");
  }
  if (answer.status === 401) throw new KeyWanted();
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(body?.error ?? `the server answered ${answer.status}`);
  if (!Array.isArray(body)) throw new Error("the server's answer cannot be read");
  return body;
}
