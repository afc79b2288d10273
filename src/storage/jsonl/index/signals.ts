/**
 * write-file-atomic and proper-lockfile clean up after themselves when a signal ends the process, by way of a package that
 * listens to every signal and sends it again when nobody else seems to listen. It cannot see a `process.once` listener of the
 * host, which has been taken off the list by the time it looks, and so ends a host in the middle of its own orderly shutdown.
 * And it makes SIGXFSZ, which Node ignores so that a write fails with EFBIG, end the process.
 *
 * A listener of ours in front of the others tells the two cases apart: if the host listens, ours stays in the list and the
 * signal is not sent again; if it does not, ours steps aside and everything is as if there were no library.
 */
const SIGNALS = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR2", "SIGALRM", "SIGXCPU", "SIGXFSZ"] as const;

// One for the whole process, also where the library is loaded both as a module and with `require`.
const INSTALLED = Symbol.for("openclaw-sessions.signals");

/** To be called before one of the two is loaded or used. */
export function keepSignals(): void {
  const here = globalThis as { [INSTALLED]?: true };
  if (here[INSTALLED] || process.platform === "win32") return;
  here[INSTALLED] = true;
  for (const signal of SIGNALS) {
    const guard = () => {
      if (signal === "SIGXFSZ" || hostListens(signal)) return;
      process.removeListener(signal, guard);
      if (cleanersLoaded() === 0) process.kill(process.pid, signal);
    };
    process.prependListener(signal, guard);
  }
}

function hostListens(signal: NodeJS.Signals): boolean {
  const ours = 1;
  return process.listenerCount(signal) > ours + cleanersLoaded();
}

// Both versions of the package count how often they listen, for each other's sake.
function cleanersLoaded(): number {
  const old = (process as { __signal_exit_emitter__?: { count?: number } }).__signal_exit_emitter__?.count ?? 0;
  const present = (globalThis as { [name: symbol]: { count?: number } | undefined })[Symbol.for("signal-exit emitter")];
  return old + (present?.count ?? 0);
}
