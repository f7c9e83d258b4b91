//! docs/BENCHMARKS.md, written by several programs.
//!
//! In: the document as it stands, and a part of it. Out: the document with that part replaced. A part that was measured by one
//! program is never touched by another.

const PARTS: [&str; 2] = ["settled", "request-log"];

/// The document with the part of this name replaced, or added at the end.
pub fn with_part(document: &str, name: &str, text: &str) -> String {
    let part = framed(name, text);
    match place(document, name) {
        Some((begin, end)) => [&document[..begin], &part, &document[end..]].concat(),
        None => format!("{}\n\n{part}", document.trim_end()),
    }
}

/// A new main document, with the parts that the old one has.
pub fn keeping_parts(new: &str, old: &str) -> String {
    let kept: String = PARTS
        .iter()
        .filter_map(|name| place(old, name))
        .map(|(begin, end)| format!("\n{}", &old[begin..end]))
        .collect();
    format!("{}\n{kept}", new.trim_end())
}

/// Writes a part into a file.
pub fn write_part(file: &std::path::Path, name: &str, text: &str) -> Result<(), String> {
    let document = std::fs::read_to_string(file).unwrap_or_default();
    std::fs::write(file, with_part(&document, name, text))
        .map_err(|error| format!("{}: {error}", file.display()))
}

fn framed(name: &str, text: &str) -> String {
    format!("<!-- begin {name} -->\n{}\n<!-- end {name} -->\n", text.trim_end())
}

fn place(document: &str, name: &str) -> Option<(usize, usize)> {
    let begin = document.find(&format!("<!-- begin {name} -->"))?;
    let last = format!("<!-- end {name} -->\n");
    let end = begin + document[begin..].find(&last)? + last.len();
    Some((begin, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_replaced_and_outlives_a_new_document() {
        let first = with_part("# B\n", "settled", "one\n");
        assert_eq!(first, "# B\n\n<!-- begin settled -->\none\n<!-- end settled -->\n");
        let two = with_part(&with_part(&first, "request-log", "log"), "settled", "two");
        assert!(two.contains("two") && !two.contains("one") && two.contains("log"));
        let new = keeping_parts("# New\n", &two);
        assert!(new.starts_with("# New\n\n<!-- begin settled -->\ntwo\n"), "{new}");
        assert_eq!(keeping_parts("# Newer\n", &new).matches("begin settled").count(), 1);
        assert_eq!(keeping_parts("# New\n", "# Old\n"), "# New\n");
    }
}
