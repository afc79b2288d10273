import type { Output } from "./output.js";
import { printableJson } from "./printable.js";

/** One JSON document, an array, written element by element with one to a line. */
export class JsonArray {
  readonly #output: Output;
  #begun = false;

  constructor(output: Output) {
    this.#output = output;
  }

  async add(value: unknown): Promise<void> {
    const before = this.#begun ? ",\n" : "[\n";
    this.#begun = true;
    await this.#output.write(before + printableJson(value));
  }

  /** Completes the document. One that a fault cut short is left open, so that it cannot pass for whole. */
  async end(): Promise<void> {
    await this.#output.write(this.#begun ? "\n]\n" : "[]\n");
  }
}
