// Sees that nothing is lost: every message since a clear is told in exactly one summary that was used, or is in the window.
import { marksIn } from "./conversation.mjs";

export function createWitness({ manager, session, model }) {
  const compactions = { completed: 0, failed: 0, superseded: 0 };
  // Why compactions failed, by cause and reason.
  const reasons = {};
  const reduced = { results: 0, dropped: 0, media: 0 };
  // How often each message was told in a summary that was used.
  let told = new Map();
  let since = new Set();
  // Once a clear has come midway it cannot be said from outside which messages it was before.
  let isCertain = true;
  const everSaid = new Set();
  let turnsReducedInARow = 0;
  let longestReduced = 0;
  let wasReduced = false;

  manager.on("compaction.started", () => model.takeTold());
  manager.on("compaction.completed", () => {
    compactions.completed += 1;
    for (const mark of model.takeTold()) told.set(mark, (told.get(mark) ?? 0) + 1);
  });
  manager.on("compaction.failed", ({ cause, reason }) => {
    reasons[`${cause}: ${reason}`] = (reasons[`${cause}: ${reason}`] ?? 0) + 1;
    compactions[reason === "superseded" ? "superseded" : "failed"] += 1;
    model.takeTold();
  });
  manager.on("context.reduced", ({ reason }) => {
    reduced[reason] += 1;
    wasReduced = true;
  });
  const endTurn = () => {
    turnsReducedInARow = wasReduced ? turnsReducedInARow + 1 : 0;
    longestReduced = Math.max(longestReduced, turnsReducedInARow);
    wasReduced = false;
  };
  manager.on("turn.completed", endTurn);
  manager.on("turn.failed", endTurn);

  const begin = () => {
    told = new Map();
    since = new Set();
    isCertain = true;
  };

  return {
    said(mark) {
      since.add(mark);
      everSaid.add(mark);
    },
    cleared: begin,
    clearMidway() {
      begin();
      isCertain = false;
    },
    /** Before a clear, and at the end. */
    async settle({ isEnd = false } = {}) {
      const stored = [];
      for await (const { content } of session.history()) stored.push(...marksIn(JSON.stringify(content)));
      const storedOnce = new Set(stored);
      if (storedOnce.size !== stored.length) model.fault("a message is stored twice");
      for (const mark of since) if (!storedOnce.has(mark)) model.fault("a message is not in the history");
      const { messages } = await session.context();
      const shown = new Set(messages.flatMap(({ content }) => marksIn(JSON.stringify(content))));
      for (const mark of stored) {
        const times = (told.get(mark) ?? 0) + (shown.has(mark) ? 1 : 0);
        if (times === 1) continue;
        const kind = { u: "a message of a person", a: "an answer", t: "a result" }[mark[2]];
        model.fault(`${kind} is ${times === 0 ? "in no summary and not in the window" : "told more than once"}`);
      }
      for (const [mark, times] of told)
        if (isCertain && times > 0 && !storedOnce.has(mark)) model.fault("a summary tells what is not in the history");
      if (!isEnd) return;
      const all = new Set();
      for await (const { content } of session.history({ includeCleared: true }))
        for (const mark of marksIn(JSON.stringify(content))) all.add(mark);
      for (const mark of everSaid) if (!all.has(mark)) model.fault("a message is not in the whole history");
    },
    figures: () => ({ compactions, reasons, reduced, longestReduced }),
  };
}
