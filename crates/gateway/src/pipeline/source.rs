//! An answer's bytes as they should have come: decoded, whatever the upstream packed them in.

use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::write::{DeflateDecoder, GzDecoder, ZlibDecoder};
use http::{HeaderMap, header::CONTENT_ENCODING};

use crate::upstream::ReplyBytes;

/// Packed bytes that are unpacked at once.
const PACKED_SLICE: usize = 256;

/// The body of an answer; dropping it releases the connection.
#[derive(Debug)]
pub struct Source {
    body: ReplyBytes,
    unpack: Option<Box<Unpack>>,
    /// Received and still to be unpacked.
    packed: Bytes,
    /// The length that the caller will get, where the head says it: the body itself only knows what is left.
    length: Option<u64>,
    ended: bool,
}

/// We ask for `identity`; some upstreams compress all the same.
#[derive(Debug)]
enum Unpack {
    Gzip(GzDecoder<Vec<u8>>),
    Zlib(ZlibDecoder<Vec<u8>>),
    Deflate(DeflateDecoder<Vec<u8>>),
    /// The first bytes tell which of the two `deflate` means.
    Undecided,
}

impl Source {
    /// `Err`: an encoding that was not asked for and cannot be read.
    pub fn open(headers: &HeaderMap, body: ReplyBytes) -> Result<Source, String> {
        let unpack = match headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim()) {
            None | Some("" | "identity") => None,
            Some("gzip" | "x-gzip") => Some(Box::new(Unpack::Gzip(GzDecoder::new(Vec::new())))),
            Some("deflate") => Some(Box::new(Unpack::Undecided)),
            Some(other) => return Err(format!("content-encoding {other}")),
        };
        let length = if unpack.is_some() { None } else { body.exact_length() };
        Ok(Source { body, unpack, packed: Bytes::new(), length, ended: false })
    }

    /// The caller will not get these bytes.
    pub fn passed_over(&mut self, count: usize) {
        self.length = self.length.map(|length| length.saturating_sub(count as u64));
    }

    /// The length that the caller will get, where it is known.
    pub fn exact_length(&self) -> Option<u64> {
        self.length
    }

    pub fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        loop {
            if self.ended {
                return Poll::Ready(None);
            }
            // A little packed at a time: it may unpack to a thousand times as much.
            if let (Some(unpack), false) = (&mut self.unpack, self.packed.is_empty()) {
                let slice = self.packed.split_to(self.packed.len().min(PACKED_SLICE));
                match unpack.feed(&slice) {
                    Ok(bytes) if bytes.is_empty() => continue,
                    Ok(bytes) => return Poll::Ready(Some(Ok(bytes))),
                    Err(error) => {
                        self.ended = true;
                        return Poll::Ready(Some(Err(format!("cannot be decompressed: {error}"))));
                    }
                }
            }
            let packed = match self.body.poll_bytes(context) {
                Poll::Ready(Some(Ok(bytes))) => bytes,
                Poll::Ready(Some(Err(error))) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None) => {
                    self.ended = true;
                    return Poll::Ready(None);
                }
                Poll::Pending => return Poll::Pending,
            };
            if self.unpack.is_none() {
                return Poll::Ready(Some(Ok(packed)));
            }
            self.packed = packed;
        }
    }

    pub async fn next(&mut self) -> Option<Result<Bytes, String>> {
        std::future::poll_fn(|context| self.poll_bytes(context)).await
    }
}

impl Unpack {
    fn feed(&mut self, packed: &[u8]) -> std::io::Result<Bytes> {
        use std::io::Write;
        /// RFC 1950: deflate in a zlib wrapper with a 32 KiB window.
        const ZLIB: u8 = 0x78;
        if matches!(self, Unpack::Undecided) {
            *self = match packed.first() {
                Some(&ZLIB) => Unpack::Zlib(ZlibDecoder::new(Vec::new())),
                _ => Unpack::Deflate(DeflateDecoder::new(Vec::new())),
            };
        }
        // `flush` after each read: the events of a stream must come out when they come in.
        let unpacked = match self {
            Unpack::Gzip(decoder) => {
                decoder.write_all(packed)?;
                decoder.flush()?;
                std::mem::take(decoder.get_mut())
            }
            Unpack::Zlib(decoder) => {
                decoder.write_all(packed)?;
                decoder.flush()?;
                std::mem::take(decoder.get_mut())
            }
            Unpack::Deflate(decoder) => {
                decoder.write_all(packed)?;
                decoder.flush()?;
                std::mem::take(decoder.get_mut())
            }
            Unpack::Undecided => Vec::new(),
        };
        Ok(unpacked.into())
    }
}
