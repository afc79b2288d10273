import { brokenUpdates } from "./broken-updates.js";
import { catches } from "./catches.js";

catches(brokenUpdates);
