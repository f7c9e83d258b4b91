//! A fake LLM provider that speaks four dialects and can misbehave on demand.
//!
//! In: HTTP/1.1 requests on a real socket; out: the answers of a healthy provider, or whatever the request's
//! *script* asks for, and an exact record of what was asked and how it ended. It parses heads and writes bytes
//! itself, because it has to do what no HTTP library allows. It must never know the gateway.
//!
//! ```no_run
//! # async fn example() {
//! let sim = upstream_sim::Sim::start().await;
//! let base_url = sim.scripted("stall=2"); // every request below this URL stalls after two events
//! sim.push("sk-one", "status=429,retry-after=3".parse().expect("a good script"));
//! sim.wait_until(|log| log.iter().any(|served| served.ended.is_some())).await;
//! # }
//! ```
//!
//! # Which script a request gets
//!
//! 1. The one in its path: `/~SCRIPT/v1/chat/completions` (percent-encoded; [`Sim::scripted`] does it).
//! 2. The one in its header `x-sim-script`.
//! 3. The next one of those pushed for its secret with [`Sim::push`]. The secret comes from
//!    `authorization: Bearer`, `x-api-key`, `x-goog-api-key`, `api-key` or the query's `key=`.
//! 4. The sim's default: healthy, unless [`Sim::bind_with`] was given another one.
//!
//! A script that is not understood is answered with 400 and recorded as [`Outcome::Refused`]. Words are
//! separated by commas; inside a value `%2C` stands for a comma. Two words that answer the same question (two
//! endings, two ways to cut packets) are refused.
//!
//! # The vocabulary
//!
//! **The answer**
//!
//! | word | what it does |
//! |---|---|
//! | `healthy` | nothing; for a script that must not be empty |
//! | `status=N` | that status; from 400 with the error body of the dialect that fits the number |
//! | `error=KIND` | error body and its usual status: `insufficient_quota`, `invalid_key`, `model_missing`, `context_length`, `content_policy`, `overloaded`, `rate_limit`, `server`, `bad_request`, `billing`, `permission`, `too_large`, `timeout`; with `status=200` an error inside a 200 |
//! | `retry-after=SECONDS`, `retry-after=date` | the header; the date is 3 s ahead |
//! | `retry-after-ms=MS` | the header |
//! | `retry-info=SECONDS` | Gemini's `RetryInfo` in an error body, and the sentence that goes with it |
//! | `type=TEXT` | another content type |
//! | `usage=none`, `null`, `IN:OUT` | no usage field, a null one, these numbers |
//! | `tool` | a call of the first tool offered (`get_weather` if none is) |
//! | `reasoning` | some reasoning before the answer |
//! | `large-reply=BYTES` | a plain answer with a text of that size |
//! | `echo` | the text is the request body |
//!
//! **Before the head**
//!
//! | word | what it does |
//! |---|---|
//! | `silence` | reads the request, never answers |
//! | `close`, `rst` | reads the request, then FIN or RST |
//! | `refuse-after-accept` | RST after the request's head, body unread; as the default script of a sim: RST at once, before a byte is read, and no record but the connection's |
//! | `stale` | answers the first request of a connection, closes when a second arrives |
//! | `early-413` | 413 before the body is read, then reads on for at most 5 s |
//! | `redirect=URL` | 302 with `location` |
//! | `delay=MS` | wait before the head |
//! | `head-trickle`, `head-trickle=MS` | the head byte by byte, 50 ms or so many apart |
//! | `first=MS` | wait between the head and the first byte of the body |
//!
//! **The body, of errors and good answers alike.** A stream with one of these is made whole and treated as a body.
//!
//! | word | what it does |
//! |---|---|
//! | `body=normal` | as it should be |
//! | `body=empty`, `html`, `gzip` | nothing; an HTML page; compressed with `content-encoding` |
//! | `body=hang` | half of it, then nothing |
//! | `body=reset` | half of it, then RST |
//! | `body=endless` | all of it, then white space (in a stream: more events) for ever, at full speed |
//! | `body=trickle` | the same, one byte per 100 ms or `every=MS` |
//! | `body=big:BYTES`, `huge` | padded to that size, or to 50 MiB, with content length; still parses |
//! | `length=wrong-short`, `wrong-long` | a content length 10 too small, or 10 too large and FIN |
//! | `eof-delimited` | neither length nor chunks, `connection: close` |
//!
//! **Streams.** `K` counts content events, so `K=0` is after the opening events.
//!
//! | word | what it does |
//! |---|---|
//! | `events=N` | content events, 5 unless told |
//! | `size=BYTES` | text per content event; about 20 bytes unless told |
//! | `words` | one word per content event, 55 events unless told |
//! | `every=MS` | wait between content events |
//! | `stall=K` | silence for ever |
//! | `cut=K` | an orderly end of the body, without a terminal event |
//! | `fin=K` | half of the next chunk, then FIN |
//! | `reset=K` | RST |
//! | `error-event=K` | the dialect's error event (`error=KIND` picks which), then an orderly end; `0`: instead of the opening events |
//! | `no-terminal` | all content, no finish and no terminal event, orderly end |
//! | `no-done` | Chat without `[DONE]` |
//! | `linger` | everything, but the body stays open |
//! | `ping-only` | pings for ever, each 100 ms or `every=MS`, nothing else |
//! | `pings=K` | so many pings before the first event |
//! | `lifecycle-only` | the opening events, then silence |
//! | `huge-line=BYTES` | the first content event has a text of that length |
//! | `crlf`, `comments` | line ends of the events; a comment before each event |
//! | `gzip-sse` | compressed event by event |
//!
//! A plain answer takes the nearest meaning: `stall` hangs after half, `cut` ends a chunked body after half,
//! `fin` and `reset` break after half, `linger` sends all and no end, `ping-only` and `lifecycle-only` send the
//! head alone, `error-event` is an error body inside a 200.
//!
//! **Packets**
//!
//! | word | what it does |
//! |---|---|
//! | (none) | a write per event; a plain answer is one write |
//! | `burst` | the whole stream in one write |
//! | `chop=K` | body writes of K bytes, each a chunk of its own, and a text with characters of several bytes |
//! | `one-byte` | `chop=1` |
//!
//! # Asking from outside
//!
//! `GET /~log` is the record as JSON (with no more of a secret than its end), `GET /~stats` the counters.
//!
//! # What it is not
//!
//! No TLS, no HTTP/2, no images, audio or files. It does not check requests beyond their being JSON, and takes
//! any secret. Past its bounds it forgets: the record keeps the last 10,000 requests and the first MiB of a body;
//! the counters are exact.

mod ask;
mod connection;
mod delivery;
mod dialect;
mod error_body;
mod exchange;
mod fill;
mod frames;
mod head;
mod message;
mod operation;
mod outlet;
mod percent;
mod prose;
mod record;
mod reply;
mod report;
mod request;
mod script;
mod served;
mod sim;
mod socket;
mod stream;

pub use script::{BadScript, Script};
pub use served::{Outcome, Served, Usage};
pub use sim::Sim;
