//! The head of an answer.
//!
//! In: status, type and framing; out: bytes. It must never write a header that the script did not ask for and a
//! real provider would not send.

use crate::operation::Dialect;
use crate::outlet::Delimit;
use crate::script::{RetryAfter, Script};
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// How far ahead the date of `retry-after=date` lies.
const RETRY_DATE_SECONDS: u64 = 3;

pub(crate) struct AnswerHead<'a> {
    pub(crate) status: u16,
    pub(crate) content_type: &'a str,
    pub(crate) is_gzip: bool,
    pub(crate) delimit: Delimit,
    pub(crate) closes: bool,
    pub(crate) dialect: Dialect,
    /// Number of the request.
    pub(crate) id: u64,
    pub(crate) script: &'a Script,
}

impl AnswerHead<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        // Writing to memory does not fail.
        let _ = self.lines(out);
    }

    fn lines(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        let script = self.script;
        write!(out, "HTTP/1.1 {} {}\r\n", self.status, reason(self.status))?;
        write!(out, "content-type: {}\r\n", script.content_type.as_deref().unwrap_or(self.content_type))?;
        match self.delimit {
            Delimit::Length(length) => write!(out, "content-length: {length}\r\n")?,
            Delimit::Chunked => out.write_all(b"transfer-encoding: chunked\r\n")?,
            Delimit::Eof => {}
        }
        if self.is_gzip {
            out.write_all(b"content-encoding: gzip\r\n")?;
        }
        if self.closes {
            out.write_all(b"connection: close\r\n")?;
        }
        match script.retry_after {
            Some(RetryAfter::Seconds(seconds)) => write!(out, "retry-after: {seconds}\r\n")?,
            Some(RetryAfter::Date) => {
                write!(out, "retry-after: {}\r\n", http_date(unix_seconds() + RETRY_DATE_SECONDS))?;
            }
            None => {}
        }
        if let Some(wait) = script.retry_after_ms {
            write!(out, "retry-after-ms: {wait}\r\n")?;
        }
        if let Some(url) = &script.redirect {
            write!(out, "location: {url}\r\n")?;
        }
        match self.dialect {
            Dialect::OpenaiChat | Dialect::OpenaiResponses => {
                write!(out, "x-request-id: req_sim{}\r\n\r\n", self.id)
            }
            Dialect::AnthropicMessages => write!(out, "request-id: req_sim{}\r\n\r\n", self.id),
            Dialect::GeminiGenerate => out.write_all(b"server: sluice-sim\r\n\r\n"),
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        529 => "Overloaded",
        _ => "Scripted",
    }
}

pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn http_date(unix: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [(&str, u64); 12] = [
        ("Jan", 31),
        ("Feb", 28),
        ("Mar", 31),
        ("Apr", 30),
        ("May", 31),
        ("Jun", 30),
        ("Jul", 31),
        ("Aug", 31),
        ("Sep", 30),
        ("Oct", 31),
        ("Nov", 30),
        ("Dec", 31),
    ];
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (days, second) = (unix / 86_400, unix % 86_400);
    let (mut year, mut day) = (1970, days);
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut name = "Jan";
    for (month, length) in MONTHS {
        name = month;
        let length = length + u64::from(month == "Feb" && is_leap(year));
        if day < length {
            break;
        }
        day -= length;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let weekday = DAYS[(days % 7) as usize];
    format!("{weekday}, {:02} {name} {year} {hour:02}:{minute:02}:{second:02} GMT", day + 1)
}

#[cfg(test)]
mod tests {
    use super::http_date;

    #[test]
    fn dates_are_written_as_http_wants_them() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(http_date(1_798_761_599), "Thu, 31 Dec 2026 23:59:59 GMT");
    }
}
