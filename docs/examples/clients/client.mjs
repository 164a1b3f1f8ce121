// Ping, post and ingest one lead, as a source should. Node 18 or newer, nothing else.
// Ids and credentials come from the environment, as `leadsandbox rehearse -- node client.mjs` sets them.

const env = process.env;
const TIMEOUT = 30_000; // milliseconds: longer than any auction
const ATTEMPTS = 4;
const ATTRIBUTES = { state: "CA", zip_code: "90001", loan_amount: 15000, sub1: "example" };
const PERSON = { first_name: "Jane", last_name: "Doe", email: "jane@example.com" };
const PHONE = "2125550123";

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// Sends JSON; after 429, 500 and 503 waits, and sends it again.
async function call(url, headers, body) {
  for (let attempt = 1; ; attempt++) {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", "User-Agent": "example-client", ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT),
    });
    if (![429, 500, 503].includes(answer.status) || attempt === ATTEMPTS) {
      return [answer.status, await answer.json()];
    }
    await answer.arrayBuffer();
    await sleep(pause(answer.headers.get("Retry-After") ?? "", attempt));
  }
}

// The seconds that the platform asks for, else a back-off that triples, with jitter.
function pause(asked, attempt) {
  return /^\d+$/.test(asked) ? Number(asked) : 0.2 * 3 ** attempt * (0.9 + 0.2 * Math.random());
}

// Pings without what names the consumer; posts only if a buyer wants the lead.
async function pingtree() {
  const send = async (kind, body) => {
    const url = `${env.PINGTREE_URL}/api/lead/${kind}/${env.PINGTREE_SOURCE_UNIQUE_ID}`;
    const token = env[`PINGTREE_${kind.toUpperCase()}_TOKEN`];
    const [http, answer] = await call(url, { Authorization: `Bearer ${token}` }, body);
    return { http, ...answer.data };
  };
  const pinged = await send("ping", ATTRIBUTES);
  if (pinged.leadStatus !== "ping_accept") return pinged; // HTTP 201 says nothing: accept and reject both have it
  const lead = { ...ATTRIBUTES, ...PERSON, mobile: PHONE, transaction_id: pinged.transaction_id };
  if ("buyerTcpa" in pinged) { // the consumer reads this text, and agrees
    await sleep(Number(env.READING_TIME ?? "3"));
    lead.tcpa_consent = "yes";
    lead.tcpa_consent_date = new Date().toISOString();
  }
  return send("post", lead);
}

// Pings; ingests with the ping's token if the lead would be taken.
async function leaddistro() {
  const ids = { flo_campaign_id: env.LEADDISTRO_CAMPAIGN_ID, flo_supplier_id: env.LEADDISTRO_SUPPLIER_ID };
  const send = async (operation, body) => {
    const headers = { "x-api-key": env.LEADDISTRO_API_KEY };
    const [http, answer] = await call(`${env.LEADDISTRO_URL}/api/v1/${operation}`, headers, body);
    return { http, ...answer };
  };
  const pinged = await send("ping", { ...ids, phone: PHONE, state: ATTRIBUTES.state });
  if (!pinged.accepted) return pinged;
  return send("ingest", { ...ids, ...PERSON, phone: PHONE, state: ATTRIBUTES.state, flo_ping_id: pinged.ping_id });
}

const outcomes = { pingtree: await pingtree(), leaddistro: await leaddistro() };
console.log(JSON.stringify(outcomes));
process.exitCode = Object.values(outcomes).some((outcome) => [429, 500, 503].includes(outcome.http)) ? 1 : 0;
