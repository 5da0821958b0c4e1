//! RFC 2849's lines: folded ones joined, comments dropped, and the way back to where a character stood in the file.

use std::borrow::Cow;

/// The longest logical line accepted, in octets: a photograph or a revocation list in base64, and short of a folded bomb.
pub(super) const LINE_MAX: usize = 16 << 20;

/// A piece of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// A line that ends a record.
    Blank,
    /// A logical line.
    Line(Line<'a>),
    /// A line that begins with a space and continues nothing.
    Stray(Line<'a>),
    /// A logical line of more than [`LINE_MAX`] octets.
    TooLong(Line<'a>),
}

/// A logical line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Its text, joined, without the line end.
    pub(super) text: Cow<'a, [u8]>,
    /// Where it begins in the file, in octets.
    pub(super) start: usize,
    /// Which line of the file it begins on, from 1.
    pub(super) number: usize,
}

/// The lines of a file.
pub(super) struct Lines<'a> {
    source: &'a [u8],
    at: usize,
    number: usize,
}

impl<'a> Lines<'a> {
    /// The lines of this file, a UTF-8 byte order mark left out.
    pub(super) fn of(source: &'a [u8]) -> Self {
        Self { source, at: if source.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 }, number: 0 }
    }

    /// The lines of the rest of a file, behind so many others.
    pub(super) fn behind(rest: &'a [u8], lines: usize) -> Self {
        Self { source: rest, at: 0, number: lines }
    }

    /// The next line of the file as it stands, without moving on; and where the one after it begins.
    fn peek(&self) -> Option<(&'a [u8], usize)> {
        let rest = self.source.get(self.at..).filter(|rest| !rest.is_empty())?;
        let end = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
        let line = rest.get(..end).unwrap_or_default();
        // RFC 2849: SEP is CR LF or LF.
        Some((line.strip_suffix(b"\r").unwrap_or(line), self.at + end + 1))
    }

    fn advance(&mut self) -> Option<&'a [u8]> {
        let (line, next) = self.peek()?;
        self.at = next;
        self.number += 1;
        Some(line)
    }

    /// RFC 2849 note 2: a line that begins with one space continues the one before; the space is dropped.
    fn continuation(&mut self) -> Option<&'a [u8]> {
        let rest = self.peek()?.0.strip_prefix(b" ")?;
        self.advance();
        Some(rest)
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            let start = self.at;
            let first = self.advance()?;
            let number = self.number;
            if first.is_empty() {
                return Some(Item::Blank);
            }
            let mut text = Cow::Borrowed(first);
            let mut length = first.len();
            // RFC 2849 note 3: a comment may be folded too.
            while let Some(more) = self.continuation() {
                length += more.len();
                if length <= LINE_MAX {
                    text.to_mut().extend_from_slice(more);
                }
            }
            let line = Line { text, start, number };
            return Some(match first.first() {
                Some(b'#') => continue,
                _ if length > LINE_MAX => Item::TooLong(line),
                Some(b' ') => Item::Stray(line),
                _ => Item::Line(line),
            });
        }
    }
}

/// A place in the file, for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Spot {
    /// From 1.
    pub(super) line: usize,
    /// From 1, in characters.
    pub(super) column: usize,
    /// The line of the file, or the part of it around the column.
    pub(super) excerpt: String,
    /// How many characters of the line were left out before the excerpt.
    pub(super) skipped: usize,
}

/// How much of a long line is shown on either side of the column, in characters.
const AROUND: usize = 80;

impl Line<'_> {
    /// Where the octet of the logical line stands in the file.
    pub(super) fn spot(&self, source: &[u8], offset: usize) -> Spot {
        let mut lines = Lines { source, at: self.start, number: self.number.saturating_sub(1) };
        let mut line = lines.advance().unwrap_or_default();
        let (mut before, mut fold) = (0, 0);
        while offset >= before + (line.len() - fold)
            && let Some((next, _)) = lines.peek().filter(|(next, _)| next.starts_with(b" "))
        {
            before += line.len() - fold;
            line = next;
            fold = 1;
            lines.advance();
        }
        let within = (offset - before + fold).min(line.len());
        let characters = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().count();
        let index = characters(line.get(..within).unwrap_or_default());
        let text = String::from_utf8_lossy(line);
        let skipped = if index > AROUND && characters(line) > 2 * AROUND { index - AROUND } else { 0 };
        let printable = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        let excerpt = text.chars().map(printable).skip(skipped).take(2 * AROUND).collect();
        Spot { line: lines.number, column: index + 1, excerpt, skipped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expect: &[&str]) {
        let shown: Vec<String> = Lines::of(source.as_bytes())
            .map(|item| match item {
                Item::Blank => "-".to_owned(),
                Item::Line(line) => format!("{}:{}", line.number, String::from_utf8_lossy(&line.text)),
                Item::Stray(line) => format!("{}:stray", line.number),
                Item::TooLong(line) => format!("{}:long", line.number),
            })
            .collect();
        assert_eq!(shown, expect, "{source:?}");
    }

    #[test]
    fn folds_comments_and_line_ends() {
        check("", &[]);
        check("a: b", &["1:a: b"]);
        check("\u{feff}a: b\r\n c\r\n\r\nd: e\n", &["1:a: bc", "-", "4:d: e"]);
        check("# one\n two\na: b\n# three\nc:\n  d\n", &["3:a: b", "5:c: d"]);
        check("a: b\n\n c\n", &["1:a: b", "-", "3:stray"]);
        check(" c\n", &["1:stray"]);
        check("\n\n", &["-", "-"]);
        // RFC 2849 note 2 has it that only a blank line ends a record: spaces alone go on.
        check("a: b\n \nc: d\n", &["1:a: b", "3:c: d"]);
    }

    #[test]
    fn long_lines() {
        let fold = format!("a: {}\n", "x\n ".repeat(LINE_MAX));
        check(&fold, &["1:long"]);
    }

    #[test]
    fn the_way_back() {
        let source = "# c\nname: on\u{fc}e\n two\n three\nx: y\n";
        let line = Lines::of(source.as_bytes()).find_map(|item| if let Item::Line(line) = item { Some(line) } else { None }).unwrap();
        let check = |character: char, nth: usize, expect: (usize, usize, &str)| {
            let text = String::from_utf8(line.text.to_vec()).unwrap();
            let offset = text.char_indices().filter(|(_, c)| *c == character).nth(nth).unwrap().0;
            let spot = line.spot(source.as_bytes(), offset);
            assert_eq!((spot.line, spot.column, spot.excerpt.as_str()), expect);
        };
        check('n', 0, (2, 1, "name: on\u{fc}e"));
        check('e', 1, (2, 10, "name: on\u{fc}e"));
        check('w', 0, (3, 3, " two"));
        check('r', 0, (4, 4, " three"));
        let end = line.spot(source.as_bytes(), line.text.len());
        assert_eq!((end.line, end.column), (4, 7));
    }

    #[test]
    fn a_long_line_is_shown_in_part() {
        let source = format!("a: {}!{}", "x".repeat(500), "y".repeat(500));
        let Some(Item::Line(line)) = Lines::of(source.as_bytes()).next() else { panic!() };
        let spot = line.spot(source.as_bytes(), 503);
        assert_eq!((spot.column, spot.skipped, spot.excerpt.chars().nth(spot.column - 1 - spot.skipped)), (504, 423, Some('!')));
        assert_eq!(spot.excerpt.len(), 160);
    }
}
