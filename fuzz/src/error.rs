//! Errors: what was understood of one can be told in every dialect, at every stage, and is understood again.

use dialect::{ErrorKind, ErrorView, Stage, encode_error, is_error_of, parse_error};

use crate::{Choices, DIALECTS};

pub fn check(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let kind = choices.of(&ErrorKind::ALL);
    let body = choices.0;
    for dialect in DIALECTS {
        is_error_of(dialect, body);
    }
    let Some(error) = parse_error(body) else { return };
    let view = ErrorView {
        kind,
        status: error.status.unwrap_or(500),
        message: &error.message,
        code: error.code.as_deref(),
        param: error.param.as_deref(),
        request_id: "req_1",
        retry_after_ms: error.retry_after_ms,
    };
    for dialect in DIALECTS {
        let told = encode_error(dialect, &view, Stage::Head);
        assert!(is_error_of(dialect, &told), "{dialect:?}: {}", String::from_utf8_lossy(&told));
        let again = parse_error(&told).expect("our own error");
        assert!(again.message.contains(&error.message), "{dialect:?}: {again:?} from {error:?}");
        encode_error(dialect, &view, Stage::Sse { sequence: 7 });
    }
}
