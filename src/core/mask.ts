/** What stands where a secret was. */
export const MASK = "***";

// Not within a word (`task-force`, `risk-averse`), unless what looks like its letters belongs to an escape of JSON, of a URL or of a terminal.
const START = String.raw`(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt]|\\u[0-9A-Fa-f]{4}|%[0-9A-Fa-f]{2}|\x1b\[[0-9;]{0,20}m))`;
// Hyphenated words have none of this (`sk-learn-pipeline`), a key nearly always.
const RANDOM = "(?=[a-z_-]{0,64}[A-Z0-9]|[a-z]{16})";

// What keys look like where they are handed out. The first group of each may stay readable: it says what was there.
// Time: what is not bounded stands at the end, or cannot be begun in its own midst.
const HANDED_OUT = [
  // OpenAI, Anthropic, OpenRouter, Langfuse and who writes theirs alike; ElevenLabs; Stripe, Clerk.
  `(sk-(?:(?:ant|proj|live|test|or|svcacct|admin|lf)-){0,3})${RANDOM}[A-Za-z0-9_-]{12,}`,
  "(sk_)[A-Za-z0-9]{24,}",
  "((?:sk|pk|rk)_(?:live|test|prod)_|whsec_)[A-Za-z0-9_+/=-]{12,}",
  // GitHub, GitLab, Slack.
  "(gh[pousr]_|github_pat_)[A-Za-z0-9_.-]{20,}",
  "(gl(?:pat|dt|rt|ptt|cbt|soat|ft|imt|agent|oas)-)[A-Za-z0-9_.-]{16,}",
  String.raw`(xox[a-z](?:\.xox[a-z])?-|xapp-)[A-Za-z0-9_-]{16,}`,
  // npm, Hugging Face, xAI, Groq, Replicate, Notion, Linear, Perplexity, NVIDIA, Cerebras, Figma, Postman, New Relic, Databricks.
  "(npm_|hf_|xai-|gsk_|r8_|ntn_|lin_api_|pplx-|csk-|dapi)[A-Za-z0-9]{20,}",
  "(nvapi-|tvly-|figd_|PMAK-|NRAK-|HRKU-|pypi-|dckr_(?:pat|oat)_|sbp_|sb_secret_|pscale_(?:tkn|pw)_)[A-Za-z0-9_-]{16,}",
  // DigitalOcean, Shopify, Grafana, Sentry, Mailgun, age.
  "(do[opr]_v1_|shp(?:at|ca|pa|ss)_|gl(?:sa|c)_|sntry[su]_)[A-Za-z0-9_+/=]{20,}",
  "(key-)[0-9a-f]{32}(?![0-9a-f])",
  "(AGE-SECRET-KEY-1)[0-9A-Z]{20,}",
  // Google, SendGrid, Vault.
  "(AIza|GOCSPX-|1//0)[A-Za-z0-9_-]{24,}",
  String.raw`(ya29\.|SG\.|hv[sbr]\.)[A-Za-z0-9_.-]{16,}`,
  // AWS.
  "(AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])",
  // Matrix; bots of Discord.
  "(syt_|mct_)[A-Za-z0-9+/=_-]{20,}",
  String.raw`()[MNO][A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}`,
  // Header, payload and signature of a JSON Web Token; of an encrypted one, five parts.
  String.raw`(?<![_-])(eyJ)[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){2,4}`,
  String.raw`((?:[Bb]earer|BEARER|[Bb]asic|BASIC)\s{1,4})(?=[\w.~+/-]{0,200}(?:\d|[a-z][A-Z]))[\w.~+/-]{12,}=*`,
].map((shape) => new RegExp(START + shape, "g"));

const IN_URLS: readonly RegExp[] = [
  // Bots of Telegram, also as `…/bot123:ABC/getMe`.
  /(?<!\d)(\d{8,10}:)[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])/g,
  // The password in a URL: to the last `@` of its host part. One with a `/` in it, to the first. A port is none.
  /(:\/\/[^\s/:"<>]{0,200}:)(?!\d{1,5}(?:[/?#]|$))(?:[^\s/"<>]{1,1024}|[^\s"<>@]{1,256})(?=@)/g,
  /(hooks\.slack\.com\/(?:services|workflows|triggers)\/)[A-Za-z0-9_/+-]{20,}/g,
  /(discord(?:app)?\.com\/api\/(?:v\d{1,2}\/)?webhooks\/\d{5,25}\/)[A-Za-z0-9_-]{20,}/g,
  // Signed links of AWS, Google and Azure.
  /([?&](?:X-Amz-Signature|X-Amz-Security-Token|X-Goog-Signature|sig)=)[A-Za-z0-9%+/=_-]{16,}/gi,
];

const PASSWORD = "pass(?:word|wd|phrase|code)[0-9]?";
const KEY = "(?:api|secret|private|encryption|signing|(?:secret[-_ ]?)?access)[-_ ]?key";
const TOKEN = "(?:access|auth|refresh|bearer|bot|session|api|id)[-_ ]?token|client[-_ ]?secret";
const NAME = `(?:${PASSWORD}|${KEY}|${TOKEN}|pwd)`;
const WEAK_NAME = "(?:token|secret)";
const SIGN = String.raw`\\{0,7}["'\x60]?(?:\*{1,2}(?!\*))?\s{0,4}(?::\s{0,4}(?:string|str)\s{0,4})?[:=]{1,3}>?(?:\*{1,2}(?!\*))?\s{0,4}\\{0,7}["'\x60]?`;
// What is said of a secret instead of the secret, a path (`PWD=/home`), a place in code where it comes from, or a value with parts.
const NO_SECRET = String.raw`(?![{[(<]|\$[{(]|\$[A-Z_]{2,64}(?![A-Z0-9])|(?:~|\.{1,2})/|/[\w.-]{1,20}(?:/|\s|$)|(?:process\.env|import\.meta|os\.|getenv|env[.(])|(?:string|str|text|boolean|bool|true|false|null|none|nil|undefined|unknown|any|required|optional|redacted)(?![^\s"'\x60,;)\]}>|?.!\\]))`;
// Within quotes to the closing one, whatever is in between; bare, to a blank, or a sign with which something else begins.
const QUOTED = ['"', "'", "`"].map(
  (quote) => String.raw`(?<=[^\\]${quote})(?!${quote})[^${quote}\\\n]*(?:\\.[^${quote}\\\n]*)*`,
);
const BARE = String.raw`(?!["'\x60\\])(?=\S{4})(?:[^\s"'\x60,;&\\]|["'\x60,;&\\](?!\s|$|["'\x60,;&)\]}\\]|[\w.[\]-]{1,64}["']?[:=]))+`;
const VALUE = `${NO_SECRET}(?:${QUOTED.join("|")}|${String.raw`(?<=\\["'\x60])[^"'\x60\\\n]+`}|${BARE})`;
const TELLING = String.raw`(?=\S{0,64}[0-9@#$%^&_+=~])`;

const NAMED: readonly RegExp[] = [
  // `password=…`, `"api_key": "…"`, `**Password**: …`.
  new RegExp(`(${NAME}${SIGN})${VALUE}`, "gi"),
  new RegExp(String.raw`(${WEAK_NAME}${SIGN})(?=\S{0,64}\d)[\w.~+/=-]{16,}`, "gi"),
  // Here a word more must look like one: "the password is wrong".
  new RegExp(String.raw`((?:${NAME}|${WEAK_NAME})\s{1,4}is:?\s{1,4}["'\x60]?)${TELLING}${BARE}`, "gi"),
  // Where a name stands in quotes, what follows is data: shorter ones count too, unless they are dates and places.
  new RegExp(
    String.raw`(["']${WEAK_NAME}\\{0,7}["']\s{0,4}:\s{0,4}\\{0,7}["'])(?!arn:|https?:)(?=[^\s"'\\]{0,64}\d)(?=[^\s"'\\]{0,64}[a-z])[^\s"'\\]{8,}`,
    "gi",
  ),
  // Of several words, and no further than those.
  new RegExp(
    `((?:pass|seed|recovery|mnemonic)[ _-]?phrase${SIGN})${NO_SECRET}[a-z'’]{1,24}(?:[ -]{1,3}[a-z'’]{1,24}){2,40}`,
    "gi",
  ),
  // A header by itself, in which values may be quoted, and one that is a string.
  /((?<![^\r\n"'])(?:set-)?cookies?\s{0,4}[:=]\s{0,4})(?=[\w.-]{1,64}=)(?:"[^"\r\n]*"|[^\r\n"'\\])+/gi,
  /((?:set-)?cookies?\\{0,7}["']\s{0,4}[:=]\s{0,4}\[?\s{0,4}\\{0,7}["'])(?=[\w.-]{1,64}=)[^\r\n"'\\]+/gi,
  /(\b(?:curl|wget|https?)\s[^\r\n]{0,200}?(?:-u|--user)[\s=]{0,4}["']?[\w.@-]{1,64}:)(?:(?<=["'][\w.@-]{1,64}:)[^\r\n"']{4,}|["']?[^\s"'\\]{4,})/g,
  new RegExp(String.raw`(--(?:[a-z]{1,20}-){0,3}(?:${NAME}|${WEAK_NAME})\s{1,4})(?!-)${TELLING}${BARE}`, "gi"),
  /(authorization["']?\s{0,4}[:=]\s{0,4}["']?(?:[a-z][a-z0-9-]{1,20}\s{1,4})?)(?=\S{0,256}\d)[^\s"',;]{8,}/gi,
];

const PATTERNS = [...HANDED_OUT, ...IN_URLS, ...NAMED];

const KEY_BLOCK =
  /(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)[\s\S]*?(-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|$)/g;
// The end of one whose beginning was cut off.
const KEY_END = /(?<![\w+/=\\\s])[\w+/=\\\s]+(?=-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)/g;

// What is masked can turn what stands around it into another secret. Texts that need more than two rounds are made for it.
const ROUNDS = 8;

/**
 * The text with what looks like a secret masked: keys and tokens of the shapes they are handed out in, private keys, passwords in
 * URLs, and what is named as one (`password=…`). What says which kind it was stays (`sk-***`). A view: what is stored, and what the
 * session's own model sees, is not changed. What is masked already stays as it is.
 */
export function maskSecrets(text: string): string {
  let masked = text;
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = masked;
    masked = maskOnce(before);
    if (masked === before) break;
  }
  return masked;
}

function maskOnce(text: string): string {
  const withoutBlocks = text.replace(KEY_BLOCK, (_block, begin: string, end: string) => `${begin}${MASK}${end}`);
  return PATTERNS.reduce(
    (sofar, pattern) => sofar.replace(pattern, (_secret, begin: string) => begin + MASK),
    withoutBlocks.replace(KEY_END, MASK),
  );
}

const IS_NAME = new RegExp(`${NAME}$`, "i");
const IS_WEAK_NAME = new RegExp(`(?:${WEAK_NAME}|authorization)$`, "i");
const MAY_BE_SECRET = new RegExp(String.raw`^${NO_SECRET}[\s\S]`, "i");

/** Whether the name of a field says that its text is a secret, whatever that looks like: `{ "password": "…" }`. */
export function isSecretField(name: string, text: string): boolean {
  const isNamed = IS_NAME.test(name) || (IS_WEAK_NAME.test(name) && /^(?=\S*\d)\S{8,}$/.test(text));
  return isNamed && MAY_BE_SECRET.test(text);
}
