import { expect, test } from "vitest";
import { hasPidNamespaces, lockChildren } from "./lock-children.js";
import { LEASE, lockPlace } from "./lock-place.js";

const place = lockPlace();
const children = lockChildren();
const OWN_PROC = ["unshare", "-pf", "--kill-child", "--mount-proc"];
const FOREIGN_PROC = ["unshare", "-pf", "--kill-child"];

const contend = (patience?: number) => ({
  do: "acquire" as const,
  path: place.path,
  scratch: place.scratch,
  ...(patience === undefined ? {} : { patience }),
});

test.runIf(hasPidNamespaces)("S19 where every process has number 1, none takes another's lock", async () => {
  const [one, two] = [await children.start(...OWN_PROC), await children.start(...OWN_PROC)];
  await one.tell(contend());
  expect(place.contentOf()).toMatchObject({ pid: 1 });
  await expect(two.tell(contend(500))).rejects.toThrow("TimeoutError");
  expect(await one.tell({ do: "isHeld" })).toBe(true);
  await one.tell({ do: "release" });
  await two.tell(contend(500));
});

test.runIf(hasPidNamespaces)("S19 the silent holder in another namespace keeps its lock for the lease", async () => {
  const one = await children.start(...OWN_PROC);
  await one.tell(contend());
  await one.kill();
  const { at } = await place.acquire();
  expect(at).toBeGreaterThanOrEqual(LEASE);
  expect(at).toBeLessThan(LEASE + 1000);
});

test.runIf(hasPidNamespaces)("S19 a /proc that counts otherwise than this process is not believed", async () => {
  // In there, number 2 is a sleeping program; in the /proc that can be seen from there, it is the kernel's.
  const one = await children.start(...FOREIGN_PROC, "sh", "-c", 'sleep 60 & exec "$0" "$@"');
  await one.tell(contend());
  place.plant({ ...place.contentOf(), pid: 2, token: "of-another" });
  await expect(one.tell(contend(500))).rejects.toThrow("TimeoutError");
});
