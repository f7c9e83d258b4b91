//! Where a call's input ends.
//!
//! In: its pieces. Out: whether they are a whole JSON value. It must not judge whether the value is a good one.

/// Follows a call's input, to know when its JSON is whole.
#[derive(Debug, Default)]
pub(super) struct Input {
    depth: u32,
    in_string: bool,
    escaped: bool,
    pub(super) whole: bool,
}

impl Input {
    pub(super) fn follow(&mut self, text: &str) {
        for byte in text.bytes() {
            if self.escaped {
                self.escaped = false;
            } else if self.in_string {
                self.in_string = byte != b'"';
                self.escaped = byte == b'\\';
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => {
                        self.depth = self.depth.saturating_sub(1);
                        self.whole = self.depth == 0;
                    }
                    _ => {}
                }
            }
        }
    }
}
