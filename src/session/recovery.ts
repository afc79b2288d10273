import type { SessionKey } from "../core/key.js";
import type { SessionRecord } from "../core/record.js";
import { SessionError } from "../errors.js";
import { codeOf } from "./error-code.js";
import { type InterruptedTurn, settleInterrupted } from "./interrupted.js";
import { tidy } from "./runs/take-up.js";
import type { Shell } from "./shell.js";

/** What could not be recovered, and why. Without `key` the sessions could not be listed, and there may be more of them. */
export interface RecoveryFailure {
  key: SessionKey | undefined;
  error: unknown;
}

/** Some sessions could not be recovered, and the others were. What is left is found when those sessions are next used, or by another `recover`. */
export class RecoveryError extends SessionError {
  readonly code = "RECOVERY";
  /** What `recover` would have returned: these turns have been marked, and no other call returns them. */
  readonly recovered: readonly InterruptedTurn[];
  readonly failures: readonly RecoveryFailure[];

  constructor(recovered: readonly InterruptedTurn[], failures: readonly RecoveryFailure[]) {
    const [first] = failures;
    super(
      `Not everything could be recovered: ${failures.length} failed (see failures), and ${recovered.length} interrupted turns were marked (see recovered).`,
      { operation: "recover", key: first?.key, cause: first?.error },
    );
    this.recovered = recovered;
    this.failures = failures;
  }
}

// To see that a turn runs in another process takes a second of waiting, in which nothing is done.
const AT_ONCE = 32;

/**
 * Deals with what processes that died have left in all sessions.
 * @throws RecoveryError when that failed for some.
 * @throws StorageError when the sessions could not be listed.
 */
export async function recoverAll(shell: Shell): Promise<InterruptedTurn[]> {
  const recovered: InterruptedTurn[] = [];
  const failures: RecoveryFailure[] = [];
  const failed = (key: SessionKey | undefined, error: unknown) => {
    shell.logger.error({ key, code: codeOf(error) }, "a session could not be recovered");
    failures.push({ key, error });
  };
  const recover = async ({ key, ancestors }: SessionRecord) => {
    try {
      const [parent] = ancestors;
      const record = await shell.ledger.read(key);
      if (record === undefined || !isLeftOver(record)) return;
      // Where its parent could not be dealt with, its claim alone says whether it runs.
      const isParentDone = !failures.some((failure) => failure.key === parent);
      if (isParentDone && (await isAlive(shell, parent, key))) return;
      recovered.push(...(await settleInterrupted(shell, record)));
      await tidy(shell, record, { found: recovered });
    } catch (error) {
      // What is wrong with one session must not keep the others.
      failed(key, error);
    }
  };
  const left: SessionRecord[] = [];
  try {
    for await (const record of shell.ledger.storage.list()) if (isLeftOver(record)) left.push(record);
  } catch (error) {
    failed(undefined, error);
  }
  // Sub-agents behind those that have spawned them, whose recovery holds their claims: beside it, they would be taken for alive.
  const depths = new Set(left.map(({ ancestors }) => ancestors.length).sort((a, b) => a - b));
  for (const depth of depths)
    await sideBySide(
      left.filter(({ ancestors }) => ancestors.length === depth),
      recover,
    );
  const [first] = failures;
  // A store that could not be looked into at all has a fault of its own, and nothing was marked.
  if (first !== undefined && left.length === 0) throw first.error;
  if (failures.length > 0) throw new RecoveryError(recovered, failures);
  return recovered;
}

async function sideBySide<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

// Its parent has been dealt with: one that still lives there runs in another process.
async function isAlive({ ledger }: Shell, parent: SessionKey | undefined, key: SessionKey): Promise<boolean> {
  const record = parent === undefined ? undefined : await ledger.read(parent);
  return record?.subagents.some((subagent) => subagent.key === key) ?? false;
}

function isLeftOver({ openTurns, subagents, toDelete, waiting }: SessionRecord): boolean {
  return openTurns.length + subagents.length + toDelete.length + waiting.length > 0;
}
