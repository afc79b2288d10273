import { brokenSessions } from "./broken-sessions.js";
import { catches } from "./catches.js";

catches(brokenSessions);
