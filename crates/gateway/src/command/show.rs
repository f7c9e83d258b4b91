//! Answers as text: a list as a table, one thing as a line for each field.
//!
//! In: JSON of the API. Out: text, with control characters made visible: names are other people's words.

use serde_json::{Map, Value};

/// Wider cells are cut, but in the last column.
const WIDEST: usize = 40;

pub(super) fn text(columns: &[&str], answer: &Value) -> String {
    match answer {
        Value::Array(rows) => table(columns, rows),
        Value::Object(page) => match page.get("items") {
            Some(Value::Array(rows)) => {
                let more = page.get("next").and_then(Value::as_str);
                let more = more.map_or_else(String::new, |next| format!("more: add cursor={next}\n"));
                table(columns, rows) + &more
            }
            _ => lines(page),
        },
        other => format!("{}\n", cell(other)),
    }
}

fn lines(object: &Map<String, Value>) -> String {
    let width = object.keys().map(String::len).max().unwrap_or_default();
    let line = |(name, value): (&String, &Value)| match value {
        // Codes that were made: one each line, to be copied.
        Value::Array(values) if values.len() > 1 => {
            let values: Vec<String> = values.iter().map(|value| format!("  {}\n", cell(value))).collect();
            format!("{name}:\n{}", values.concat())
        }
        value => format!("{name:width$}  {}\n", cell(value)),
    };
    object.iter().map(line).collect()
}

fn table(columns: &[&str], rows: &[Value]) -> String {
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|column| cell(&row[*column])).collect()).collect();
    let head: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
    let width = |at: usize| {
        let widths = cells.iter().chain([&head]).map(|row: &Vec<String>| row[at].chars().count());
        widths.max().unwrap_or_default().min(WIDEST)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let last = row.len().saturating_sub(1);
        let cut = |(at, cell): (usize, &String)| match cell.char_indices().nth(WIDEST) {
            Some((end, _)) if at != last => format!("{}…", &cell[..end]),
            _ => format!("{cell:width$}", width = widths[at]),
        };
        let cells: Vec<String> = row.iter().enumerate().map(cut).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    [&head].into_iter().chain(&cells).map(line).collect()
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(object) => object
            .iter()
            .map(|(name, value)| format!("{name} {}", cell(value)))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    };
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_tables_and_one_thing_is_lines() {
        let page = json!({"items": [{"id": 1, "name": "a\nb"}, {"id": 22, "name": null}], "next": "xyz"});
        assert_eq!(text(&["id", "name"], &page), "id  name\n1   a\\nb\n22  -\nmore: add cursor=xyz\n");
        let one = json!({"id": 1, "models": ["a"], "codes": ["x", "y"]});
        assert_eq!(text(&[], &one), "codes:\n  x\n  y\nid      1\nmodels  a\n");
    }
}
