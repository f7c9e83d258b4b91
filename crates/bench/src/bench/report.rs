//! The table in words: on the terminal and as docs/BENCHMARKS.md.
//!
//! In: rows and the machine; out: Markdown. It must say how each number came about, and name no number that was not
//! measured in this run.

use super::{
    sizes::Sizes,
    table::{Row, Target},
    ways::{EVENT_EVERY_MS, LONG_EVENTS, Way},
};
use crate::machine::Machine;

/// What was compared.
#[derive(Debug)]
pub struct Versions {
    pub sluice: String,
    pub nginx: Option<String>,
}

/// The rows as a Markdown table; each cell is best / median.
pub fn table(rows: &[Row]) -> String {
    let mut text =
        "| | direct | nginx | sluice | sluice ÷ nginx | translated | ÷ sluice | target | |\n|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for row in rows {
        let [direct, nginx, sluice, translated] = Way::ALL.map(|way| cell(row, way));
        let [ratio, lanes] = [row.ratio(), row.ratio_of_lanes()]
            .map(|ratio| ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")));
        let target = match row.target {
            Target::None => String::new(),
            Target::Ratio(most) => format!("≤ {most} × nginx"),
            Target::AtMost(most) => format!("≤ {most} {}", row.unit),
            Target::Lanes(most) => format!("≤ {most} × sluice"),
        };
        let verdict = match (row.target, row.reached()) {
            (Target::None, _) => "",
            (_, Some(true)) => "reached",
            (_, Some(false)) => "**missed**",
            (_, None) => "not measured",
        };
        let unit = if row.unit.is_empty() { String::new() } else { format!(", {}", row.unit) };
        text.push_str(&format!(
            "| {}{unit} | {direct} | {nginx} | {sluice} | {ratio} | {translated} | {lanes} | {target} | {verdict} |\n",
            row.what
        ));
    }
    text
}

fn cell(row: &Row, way: Way) -> String {
    match (row.best(way), row.median(way)) {
        (Some(best), Some(median)) => format!("{} / {}", number(best), number(median)),
        _ => "–".to_owned(),
    }
}

/// Three digits that matter, thousands apart.
fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1_000.0 {
        let digits = format!("{:.0}", size);
        let mut text = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index) % 3 == 0 {
                text.push(',');
            }
            text.push(digit);
        }
        return if value < 0.0 { format!("-{text}") } else { text };
    }
    if size >= 100.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// The whole document.
pub fn document(
    rows: &[Row],
    sizes: &Sizes,
    machine: &Machine,
    versions: &Versions,
    notes: &[String],
) -> String {
    let Sizes { rounds, close_rounds, window, connections, large_connections, streams, held, .. } = *sizes;
    let nginx = versions.nginx.as_deref().unwrap_or("not installed: no ratios in this run");
    let notes = match notes {
        [] => String::new(),
        notes => format!(
            "\nOf this run:\n\n{}",
            notes.iter().map(|note| format!("- {note}\n")).collect::<String>()
        ),
    };
    format!(
        "\
# Benchmarks

Written by `make bench`. What is judged is the ratio to nginx's plain proxying in the same run on the same core: numbers of
a shared virtual machine vary by 15–20 % from run to run, ratios within a run much less.

| | |
|---|---|
| date | {date} |
| machine | {cpu}, {cores} cores, {memory:.0} GB, Linux {kernel}, {busy:.0} % busy before the run |
| sluice | {sluice} |
| nginx | {nginx} |
{notes}
## Result

Each cell is best / median of {rounds} rounds, of {close_rounds} for small requests and events, which scatter most; the ratio is the median of the rounds' own ratios, not the ratio of the medians.

{table}
## Method

- Three processes: an upstream, nginx or Sluice, and the load generator. The measured one is alone on core
  0; the other two share the last core (`taskset`). The ways are measured in turn in each round, and each round begins
  with another one; each measurement lasts {window:?} after a warm-up.
- nginx: one process, upstream keep-alive (256), HTTP/1.1 to the upstream, `proxy_buffering off`, access log off, request bodies
  read whole in memory before they are passed on, as Sluice does. It checks no key, reads no JSON and chooses no channel.
- Sluice: `sluice serve` as shipped, with key check, plan, lease, model renamed in each body, usage tap, metrics and settlement on; the
  request lines are written to /dev/null, the books into a file beside the configuration. It sees one core, and so runs all requests on one thread.
- *Translated*: the same bodies asked of Sluice in Anthropic's dialect, at /v1/messages, of the same Chat channels: request and answer
  are decoded and encoded. What is judged is its ratio to relaying in the same run.
- *CPU* is user and system time of the whole process (/proc/PID/stat) divided by what it did. *Share of the core used* says
  whether the server was the bottleneck: well below 100 % the upstream or the load generator was, and CPU per request is then
  dearer for both, because fewer events share a wake-up.
- *At saturation*: closed loop, {connections} keep-alive connections ({large_connections} with 1 MB bodies), chat requests of exactly that size whose
  text has escapes in it, answers of 1.2 KB. Anything but a 200 fails the run. The upstream is a lean one (`load::answerer`): upstream-sim
  reads and records each request and would be the bottleneck. All other rows are with upstream-sim.
- *Latency* and *time to first byte*: open loop at a fixed rate over {connections} connections. A request that waits for its connection is
  timed from when it was due. What is shown for nginx and Sluice is the difference to direct in the same round; requests that come
  due in the same millisecond leave together, for all three alike. p99 on two cores is mostly the scheduler's.
- *Events*: {streams} streams of the Chat dialect, each with an event every {EVENT_EVERY_MS} ms, started spread over a second. *Events per piece*
  says how far they were gathered on their way: at 1 each event was relayed by itself. Sluice asks the upstream for the usage, whose
  events are then a little longer.
- *Held streams*: fresh processes; {held} streams that have sent four events and are silent; resident memory (VmRSS) with them minus before,
  divided by their number. *After {LONG_EVENTS} events*, which came as fast as they could: the buffers of both
  connections have grown to their bounds (64 KiB is read at once), and stay so; what has passed is not kept. (A client of
  Responses is told its whole answer once more at the end, so a stream that is translated for one keeps it: at most 16 MiB, then it is
  broken off.)

## Again

```text
make bench                  # everything, about a quarter of an hour; writes this file
target/dist/bench --quick   # a minute, to see that it works; not for numbers
```

It needs Linux, nginx from the distribution (`apt-get install nginx-light`; without it only direct and Sluice are measured), and
`taskset` and `prlimit` from util-linux. Nothing else should run on the machine.
",
        date = machine.date,
        busy = machine.busy * 100.0,
        cpu = machine.cpu,
        cores = machine.cores,
        memory = machine.memory_gb,
        kernel = machine.kernel,
        sluice = versions.sluice,
        table = table(rows),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_what_matters() {
        let told = [1_234_567.8, 999.6, 45.67, 4.567, -1234.0, 0.0].map(number);
        assert_eq!(told, ["1,234,568", "1000", "45.7", "4.57", "-1,234", "0.00"]);
    }
}
