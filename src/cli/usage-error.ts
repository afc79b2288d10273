/** What was typed is no command: a wrong option, a number that is none, a missing KEY. */
export class UsageError extends Error {}
