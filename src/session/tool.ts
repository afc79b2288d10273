import { z } from "zod";
import { describeIssues } from "../core/message.js";
import { cutText } from "../core/shorten.js";
import { anySignal } from "./any-signal.js";
import type { Lifespan } from "./lifespan.js";

/** A JSON object: what goes into a tool and comes out of it. */
export type JsonObject = { [name: string]: unknown };

/**
 * A tool an agent may be given, in the shape every framework has one: a name, what it does, a JSON Schema, and a function. Who uses
 * it is fixed when it is made; no parameter says so.
 */
export interface SessionTool {
  readonly name: string;
  /** Written for the model. */
  readonly description: string;
  /** Plain JSON Schema. */
  readonly inputSchema: JsonObject;
  /**
   * Does it. What a model can do wrong is an answer with `error`, which says what to do instead.
   * @throws SessionError when the storage fails, or the manager is closed.
   */
  execute(input: unknown, options?: { signal?: AbortSignal | undefined }): Promise<JsonObject>;
}

/** What a tool cannot do, told to the model. */
export class Refusal extends Error {
  readonly status: "denied" | "error";

  constructor(status: "denied" | "error", message: string) {
    super(message);
    this.status = status;
  }
}

/** What a tool is, and what it does with an input that fits. */
export interface ToolDefinition<S extends z.ZodObject> {
  name: string;
  description: string;
  input: S;
  /** Whether its answers have a `status`, also where it refuses. */
  hasStatus?: boolean;
  run(input: z.infer<S>, signal: AbortSignal): Promise<JsonObject>;
}

/** Makes a tool: checks its input, and turns what it refuses into an answer. With `lifespan` it ends, and what it waits for. */
export function makeTool<S extends z.ZodObject>(definition: ToolDefinition<S>, lifespan?: Lifespan): SessionTool {
  const { name, description, input: schema, hasStatus = false, run } = definition;
  const refuse = ({ status, message }: Refusal): JsonObject => ({ ...(hasStatus ? { status } : {}), error: message });
  const names = Object.keys(schema.shape).join(", ");
  let inputSchema: JsonObject | undefined;
  return {
    name,
    description,
    // Tools are made for every turn, and seldom looked at. Each has its own, since there are frameworks that write into it.
    get inputSchema() {
      inputSchema ??= structuredClone(plainSchema(schema));
      return inputSchema;
    },
    async execute(input, options = {}) {
      if (lifespan?.isOver || options.signal?.aborted)
        return refuse(new Refusal("error", "The turn of this tool is over; nothing was done."));
      const fitting = parsed(schema, input);
      if ("problem" in fitting) return refuse(new Refusal("error", `${fitting.problem}. ${name} takes ${names}.`));
      try {
        return await run(fitting.data, anySignal(lifespan?.signal, options.signal));
      } catch (error) {
        if (error instanceof Refusal) return refuse(error);
        throw error;
      }
    },
  };
}

function parsed<S extends z.ZodObject>(schema: S, input: unknown): { data: z.infer<S> } | { problem: string } {
  try {
    const { success, data, error } = schema.safeParse(withoutNulls(input));
    return success ? { data } : { problem: cutText(describeIssues(error), MOST_CHARACTERS, false) };
  } catch {
    // What looks like an object may run code of somebody's, whose fault says nothing to a model.
    return { problem: "The input could not be read" };
  }
}

// Some frameworks hand on a call without arguments as nothing at all, and what was left out as `null`.
function withoutNulls(input: unknown): unknown {
  if (input === undefined || input === null) return {};
  if (typeof input !== "object" || Array.isArray(input)) return input;
  // A Map has no fields, and would pass for an input that leaves everything out.
  if (Object.prototype.toString.call(input) !== "[object Object]") return null;
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== null));
}

// What a model has made up is told back to it, and need not be all of it.
const MOST_CHARACTERS = 1000;

// Without `$schema` and without the bounds of safe integers, which some providers refuse.
function plainSchema(schema: z.ZodType): JsonObject {
  const known = plainSchemas.get(schema);
  if (known !== undefined) return known;
  const { $schema: _, ...plain } = z.toJSONSchema(schema, {
    io: "input",
    override: ({ jsonSchema }) => {
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    },
  });
  plainSchemas.set(schema, plain);
  return plain;
}

const plainSchemas = new WeakMap<z.ZodType, JsonObject>();
