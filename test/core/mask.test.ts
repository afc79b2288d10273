import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isSecretField, maskSecrets } from "../../src/core/mask.js";

const long = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7";

describe("G22 a secret is masked in a view", () => {
  test.each([
    [`my key is sk-${long}`, "my key is sk-***"],
    [`sk-ant-api03-${long}`, "sk-ant-***"],
    [`sk-proj-${long}.`, "sk-proj-***."],
    ["sk-abcdefghijklmnopqrstuvwx", "sk-***"],
    [`sk_live_${long}`, "sk_live_***"],
    [`token ghp_${long}${long}`, "token ghp_***"],
    [`xoxb-1234567890-${long}`, "xoxb-***"],
    [`hf_${long}`, "hf_***"],
    [`AIza${long}`, "AIza***"],
    ["AKIAIOSFODNN7EXAMPLE", "AKIA***"],
    [`123456789:${"A".repeat(35)} is the bot`, "123456789:*** is the bot"],
    [
      `https://api.telegram.org/bot123456789:${"A".repeat(35)}/getMe`,
      "https://api.telegram.org/bot123456789:***/getMe",
    ],
    [`Bot M${"x".repeat(23)}.Cl2FMQ.${long}`, "Bot ***"],
    [`https://discord.com/api/webhooks/123456/${long}`, "https://discord.com/api/webhooks/123456/***"],
    [`https://hooks.slack.com/services/T00/B00/${long}`, "https://hooks.slack.com/services/***"],
    [`eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.${long}`, "eyJ***"],
    [`Authorization: Bearer ${long}`, "Authorization: Bearer ***"],
    ["Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic ***"],
    [`authorization: ${long}`, "authorization: ***"],
    ["postgres://ann:hunter22@db.example/x", "postgres://ann:***@db.example/x"],
    ["postgres://ann@corp:p@ss@db.example/x?a=b@c", "postgres://ann@corp:***@db.example/x?a=b@c"],
    ["redis://:a/b=@db.example", "redis://:***@db.example"],
    ["https://example.org/x?password=hunter22&page=2", "https://example.org/x?password=***&page=2"],
    [`https://example.org/x?X-Amz-Signature=${"0af9".repeat(16)}`, "https://example.org/x?X-Amz-Signature=***"],
    ['{"api_key": "abcd1234"}', '{"api_key": "***"}'],
    ['{"password": "one, two", "user": "ann"}', '{"password": "***", "user": "ann"}'],
    ['{"password": "a\\"b", "user": "ann"}', '{"password": "***", "user": "ann"}'],
    ['"{\\"password\\": \\"one two\\", \\"n\\": 1}"', '"{\\"password\\": \\"***\\", \\"n\\": 1}"'],
    ["{'password': 'abc'}", "{'password': '***'}"],
    ['{"token":"s3cr3tvalue99"}', '{"token":"***"}'],
    ['"{\\"secret\\": \\"abc12345\\", \\"n\\": 1}"', '"{\\"secret\\": \\"***\\", \\"n\\": 1}"'],
    ["Cookie: sid=abcdef123; theme=dark", "Cookie: ***"],
    ['"set-cookie": "sid=abc; Path=/", "n": 1', '"set-cookie": "***", "n": 1'],
    ["curl -u admin:hunter2 https://example.org", "curl -u admin:*** https://example.org"],
    ["curl --user 'admin:hunter2' x", "curl --user 'admin:***' x"],
    ["Password is: hunter2!", "Password is: ***"],
    ['Cookie: theme="dark"; sid=SUPERSECRET123', "Cookie: ***"],
    ["curl -H 'Cookie: sid=abcdef123; b=2' x", "curl -H 'Cookie: ***' x"],
    ['{\\"Cookie\\":\\"sid=abc123def456\\",\\"n\\":1}', '{\\"Cookie\\":\\"***\\",\\"n\\":1}'],
    ['"cookies": ["sid=abc123"]', '"cookies": ["***"]'],
    ["curl -uadmin:hunter22 x", "curl -uadmin:*** x"],
    ["curl -s --user=admin:hunter22 x", "curl -s --user=admin:*** x"],
    ['curl -u "admin:hunter 22 x" y', 'curl -u "admin:***" y'],
    ['SEED_PHRASE="correct horse battery staple"', 'SEED_PHRASE="***"'],
    ["pass-phrase: o'neill likes horse staple. Fine.", "pass-phrase: ***. Fine."],
    ["passphrase: abc def ghi\nnext", "passphrase: ***\nnext"],
    ["Seed phrase = correct horse battery staple", "Seed phrase = ***"],
    ["My password is secret123", "My password is ***"],
    ["password: swordfish", "password: ***"],
    ["password: it's,me&you ok", "password: *** ok"],
    ["**Password:** swordfish and more", "**Password:** *** and more"],
    ["password: `a b`, fine", "password: `***`, fine"],
    ["PASSWORD=hunter22; next", "PASSWORD=***; next"],
    ["DB_PASSWORD=hunter", "DB_PASSWORD=***"],
    ["AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AWS_SECRET_ACCESS_KEY=***"],
    ["JWT_SECRET=abcdefgh12345678", "JWT_SECRET=***"],
    ['const apiKey: string = "abcd1234"', 'const apiKey: string = "***"'],
    ["mysql --password hunter22 shop", "mysql --password *** shop"],
    [
      "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
      "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----",
    ],
    ["-----BEGIN PRIVATE KEY-----\nMIIE cut off", "-----BEGIN PRIVATE KEY-----***"],
    ["…cut off MIIE\nAb+/=\n-----END PRIVATE KEY-----", "…***-----END PRIVATE KEY-----"],
  ])("%j", (text, masked) => {
    expect(maskSecrets(text)).toBe(masked);
    expect(maskSecrets(masked)).toBe(masked);
  });

  test.each(["_", '"', "(", "字", "=", "\\n", "\\u000a", "%3D", "\u001b[31m", "-", "/", "."])(
    "what stands before a key, such as %j, does not hide it",
    (before) => {
      expect(maskSecrets(`${before}sk-${long}`)).toBe(`${before}sk-***`);
    },
  );

  test.each([
    "The weather is fine.",
    "risk-averse investors ask the task-force",
    "Forgot your password? Reset it here.",
    "the password is wrong",
    "passphrase: required for all",
    "a cookie: chocolate, with nuts",
    '{"token": "lowercase", "secret": "none"}',
    "chown -u ann: files",
    "The cookie: path=/ is the default and applies to all",
    "git push -u origin:main-branch",
    "docker run -u 1000:1000",
    "rsync -u host:/path/of/files",
    '{"token": "2024-11-02", "secret": "arn:aws:secretsmanager:eu-1:123:secret"}',
    "password: required",
    '{"password": "string", "apiKey": null, "token": ""}',
    '{"password": {"type": "string"}}',
    "PWD=/home/ann",
    "apiKey: process.env.OPENAI_API_KEY",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: what stands in a shell script
    "password: ${DB_PASSWORD}",
    "password=<your password>",
    "max_tokens: 4096, token: 17",
    "a basic understanding, and bearer instruments",
    "sk-short",
    "sk-learn-pipeline-thing",
    "npm_config_registry_something",
    "CONSTRAINT pk_orders_customer_2024",
    "see https://example.org:8080/path@2",
    "a uuid: f8282125-d96c-45a0-84cb-eb5fb6843d0a",
    "01JQ8ZK3V5T7W9X1Y3Z5A7B9C1",
    "call me at 12345678:00",
    "agent:main:telegram:dm:123456789",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
  ])("%j is left as it is", (text) => {
    expect(maskSecrets(text)).toBe(text);
  });

  test("what is masked already stays as it is", () => {
    const pieces = [
      "sk-",
      long,
      "password",
      "=",
      ":",
      " ",
      "'",
      '"',
      "\\",
      "://",
      "@",
      "/",
      "***",
      " is ",
      "eyJhbGciOi",
    ];
    const more = [".", ",", "&", "`", "{", "\n", "--", "Bearer ", "123456789:", "-----END PRIVATE KEY-----"];
    const text = fc.array(fc.constantFrom(...pieces, ...more), { maxLength: 25 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(text, (original) => {
        const masked = maskSecrets(original);
        expect(maskSecrets(masked)).toBe(masked);
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    ["password", "x", true],
    ["dbPassword", "two words", true],
    ["API-Key", "abc", true],
    ["token", "abcdefg1", true],
    ["token", "none yet", false],
    ["password", "", false],
    ["password", "string", false],
    ["passwordHint", "my dog", false],
    ["max_tokens", "12345678", false],
  ])("that a field %j with %j holds a secret is %j", (name, text, isSecret) => {
    expect(isSecretField(name, text)).toBe(isSecret);
  });

  // Each would take the square of the time if a pattern could begin anew within what another try has looked through.
  test("a text of a quarter of a megabyte takes no longer than its length asks for", () => {
    const repeated = ["a", "1", "sk-", "-eyJ", ".eyJaaaaaaaa", "a.", "x:", "://", "http://a:", "Bearer a"];
    const named = [
      "password ",
      "password=,a",
      "password=a&b=",
      'password="a\\"',
      "--a-",
      "authorization=a ",
      "token=a",
    ];
    const blocks = [
      "-----BEGIN PRIVATE KEY-----",
      "-----END PRIVATE KEY-----",
      "\\u0041",
      "123456789:",
      "**",
      "\\",
      " ",
    ];
    for (const unit of [...repeated, ...named, ...blocks]) {
      const text = unit.repeat(Math.ceil(250_000 / unit.length));
      const began = performance.now();
      maskSecrets(text);
      expect([unit, performance.now() - began < 2000]).toEqual([unit, true]);
    }
  });
});
