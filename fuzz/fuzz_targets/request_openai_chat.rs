#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| laws::request::check(dialect::Dialect::OpenaiChat, bytes));
