/** The allowed word that `word` most likely was meant to be, or `undefined` when none is within two edits. */
export function closestWord(word: string, allowed: Iterable<string>): string | undefined {
  let best: { word: string; edits: number } | undefined;
  for (const candidate of allowed) {
    const edits = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (edits <= 2 && edits < candidate.length / 2 && (best === undefined || edits < best.edits))
      best = { word: candidate, edits };
  }
  return best?.word;
}

// Levenshtein over rows, with a swap of neighbours as one edit: the commonest slip of all.
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return Number.POSITIVE_INFINITY;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let edits = Math.min((row[j - 1] ?? 0) + 1, (last[j] ?? 0) + 1, (last[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        edits = Math.min(edits, (beforeLast[j - 2] ?? 0) + 1);
      row.push(edits);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
