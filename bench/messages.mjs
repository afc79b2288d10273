// What every contender stores: the same texts, of a length that makes a line of about 300 bytes.

const WORDS =
  "the train leaves at nine and we should be there an hour before so please bring the tickets and a warm coat for everyone who comes along with us to the lake".split(
    " ",
  );
const TEXT_LENGTH = 190;
const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** The text of message `number`: never the same twice, so that nothing can be cached or compressed away. */
export function text(number) {
  let text = `${number}:`;
  for (let at = number; text.length < TEXT_LENGTH; at = (at * 31 + 7) % 1_000_003)
    text += ` ${WORDS[at % WORDS.length]}`;
  return text.slice(0, TEXT_LENGTH);
}

export function role(number) {
  return number % 2 === 0 ? "user" : "assistant";
}

/** A message as a host gives it. */
export function message(number) {
  return { role: role(number), content: text(number) };
}

/** The same message as a line holds it: with a time and a ULID. */
export function entry(number) {
  return { ...message(number), timestamp: new Date(Date.now() + number).toISOString(), id: ulid(number) };
}

/** Made before the clock runs, so that only storing is timed. */
export function prepare(make, from, count) {
  return Array.from({ length: count }, (_, index) => make(from + index));
}

const idStart = Date.now();

// Counts up in place of the random part: unique and in order within one run, which is all that is asked of it here.
function ulid(number) {
  return base32(idStart, 10) + base32(process.pid, 4) + base32(number, 12);
}

function base32(value, length) {
  let rest = value;
  let digits = "";
  for (let at = 0; at < length; at += 1) {
    digits = DIGITS[rest % 32] + digits;
    rest = Math.floor(rest / 32);
  }
  return digits;
}

/** `count` different numbers below `limit`, the same for the same seed. */
export function pick(count, limit, seed) {
  const all = Math.min(count, limit);
  const picked = new Set();
  let state = seed * 2_654_435_761 + 12_345;
  while (picked.size < all) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    picked.add(Math.floor((state / 2 ** 32) * limit));
  }
  return [...picked];
}
