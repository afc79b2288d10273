import { failEveryCall } from "./every-call.js";

failEveryCall({ lasting: true });
