/**
 * Verifies what a Swarna server signed: receipts of publications, and price locks.
 *
 *     const { payload } = await verify(jws, { type: "receipt" });
 *
 * `payload` is the very text that was signed, as an object, with its amounts as strings: read that, and no other answer
 * beside it.
 *
 * It needs WebCrypto with Ed25519. Browsers give it to pages that came by https or from localhost, and to no others. Node has
 * it, too.
 */

/** @typedef {"receipt"|"lock"} Type */
/** @typedef {{kid: string, kty: string, crv?: string, x?: string}} PublicKey  Of a JWK Set. */
/** @typedef {{keys: PublicKey[]}} KeySet */

/**
 * @typedef {object} Expected  What the document has to be.
 * @property {Type} type
 * @property {string|URL|KeySet} [keys]  Where the public keys are, or the keys. By default those of the server that served
 *   this module, or else the page. A key that is not known yet is looked for once more, past any cache.
 * @property {string} [issuer]  The `iss` that the payload must have. By default any.
 */

/**
 * @typedef {object} Verified
 * @property {Record<string, any>} payload
 * @property {string} kid  Of the key that signed it.
 */

/**
 * @typedef {"unavailable"|"keys"|"malformed"|"algorithm"|"type"|"unknown_key"|"signature"|"issuer"} Code
 *   Why it could not be verified. `unavailable`: not here, without WebCrypto. `keys`: the keys could not be fetched.
 *   All others: do not believe the document.
 */

const TYPES = { receipt: "swarna-receipt+jws", lock: "swarna-lock+jws" };
const ALGORITHM = "Ed25519"; // RFC 9864
/**
 * Where the addresses of the server that served this module begin, as in element.js; null in a bundle, and in Node. This
 * module imports nothing, so that it can be copied by itself.
 */
const HOME = /^(https?:.*\/)static\/client\/[^/]+$/.exec(import.meta.url)?.[1] ?? null;
const KEYS = `${HOME ?? "/"}.well-known/jwks.json`;

export class VerificationError extends Error {
  /** @param {Code} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.name = "VerificationError";
    this.code = code;
  }
}

/**
 * Verifies a compact JWS.
 * @param {string} jws  As answered to `Accept: application/jose`, or in the field `jws` of a lock.
 * @param {Expected} expected
 * @returns {Promise<Verified>}
 * @throws {VerificationError}
 */
export async function verify(jws, { type, keys = KEYS, issuer }) {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) fail("unavailable", "There is no WebCrypto here: browsers have it only on pages by https or from localhost.");
  const [, head, body, tail] = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(jws) ?? [];
  if (tail === undefined) fail("malformed", "This is no compact JWS: it has three parts with dots between.");
  const header = json(head);
  if (header.alg !== ALGORITHM || header.crit !== undefined) {
    fail("algorithm", `It is signed by ${header.alg}; Swarna signs by ${ALGORITHM}.`);
  }
  if (header.typ !== TYPES[type]) fail("type", `It is no ${TYPES[type]}, but ${header.typ}.`);
  const signature = bytes(tail);
  const key = await imported(subtle, await publicKey(header.kid, keys));
  const signed = new TextEncoder().encode(`${head}.${body}`);
  const isRight = await subtle.verify(ALGORITHM, key, signature, signed);
  // The last letter has bits that no byte is made of.
  if (!isRight || text(signature) !== tail) fail("signature", "It was changed, or not signed by this key.");
  const payload = json(body);
  if (issuer !== undefined && payload.iss !== issuer) fail("issuer", `It is of ${payload.iss}, and not of ${issuer}.`);
  return { payload, kid: header.kid };
}

/** @param {unknown} kid @param {string|URL|KeySet} keys @returns {Promise<PublicKey>} */
async function publicKey(kid, keys) {
  const find = (/** @type {KeySet} */ set) => set.keys.find((key) => key.kid === kid && key.kty === "OKP" && key.crv === ALGORITHM);
  const found =
    typeof keys === "object" && "keys" in keys
      ? find(keys)
      : (find(await fetched(keys, "default")) ?? find(await fetched(keys, "reload")));
  return found ?? fail("unknown_key", `Its key ${kid} is none of the published ones.`);
}

/** @param {string|URL} address @param {RequestCache} cache @returns {Promise<KeySet>} */
async function fetched(address, cache) {
  try {
    const response = await fetch(address, { cache });
    if (!response.ok) throw new Error(`the answer is ${response.status}`);
    const set = await response.json();
    if (!Array.isArray(set.keys)) throw new Error("they are no JWK Set");
    return set;
  } catch (error) {
    return fail("keys", `The public keys cannot be fetched from ${address}: ${error instanceof Error ? error.message : error}.`);
  }
}

/** @param {SubtleCrypto} subtle @param {PublicKey} key */
async function imported(subtle, { kty, crv, x }) {
  try {
    return await subtle.importKey("jwk", { kty, crv, x }, ALGORITHM, false, ["verify"]);
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotSupportedError") {
      return fail("unavailable", "This browser's WebCrypto has no Ed25519.");
    }
    return fail("keys", "The public key is damaged.");
  }
}

/** @param {string} part @returns {Record<string, any>} */
function json(part) {
  try {
    const found = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes(part)));
    if (typeof found === "object" && found !== null) return found;
  } catch {
    // Not JSON; below.
  }
  return fail("malformed", "A part of it is no JSON object.");
}

/** @param {string} part */
function bytes(part) {
  try {
    return Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  } catch {
    return fail("malformed", "A part of it is no base64url.");
  }
}

/** @param {Uint8Array} of */
function text(of) {
  return btoa(String.fromCharCode(...of)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {Code} code @param {string} message @returns {never} */
function fail(code, message) {
  throw new VerificationError(code, message);
}
