/**
 * What an update survives once it has been acknowledged.
 *
 * With each of them an acknowledged update is whole in the transcript and every process sees it: the end of this process,
 * however sudden, takes nothing. They differ in what a power cut, or a crash of the system itself, can take.
 *
 * | | killed process | power cut | cost |
 * |---|---|---|---|
 * | `"always"` | nothing lost | nothing lost | one wait for the disk per update, shared by updates that wait at the same time |
 * | `"batch"` | nothing lost | about the last second | none on the way of an update |
 * | `"off"` | nothing lost | what the system had not written by itself, usually up to 30 seconds | none |
 *
 * A power cut never takes more than that: what is lost is the newest of a session, and a line cut in two costs only itself.
 * None of them helps against a disk that says it has written what it has not.
 */
export type Durability = "always" | "batch" | "off";
