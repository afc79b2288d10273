// What a host of pi's SessionManager loads.
export { SessionManager } from "@mariozechner/pi-coding-agent";
