use cohobate::report::columns;

/// Lines at the bottom of a terminal that are drawn again and again.
#[derive(Debug, Default)]
pub struct Board {
    lines: Vec<String>,
}

impl Board {
    /// No line.
    pub const fn new() -> Self {
        Self { lines: Vec::new() }
    }

    /// Returns what puts `lines` in the place of those that are drawn. A terminal that has become narrower has broken the
    /// lines, and they take more rows than before.
    pub fn draw(&mut self, lines: Vec<String>, width: usize) -> String {
        let erased = self.erase(width);
        self.lines = lines;
        erased + &self.lines.join("\n")
    }

    /// Returns what puts a text above the lines.
    pub fn above(&self, text: &str, width: usize) -> String {
        format!("{}{text}\n{}", self.erase(width), self.lines.join("\n"))
    }

    fn erase(&self, width: usize) -> String {
        let rows = |line: &String| columns(line).div_ceil(width.max(1)).max(1);
        match self.lines.iter().map(rows).sum::<usize>() {
            0 => String::new(),
            1 => "\r\u{1b}[J".to_owned(),
            rows => format!("\r\u{1b}[{}A\u{1b}[J", rows - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_drawn_over_whatever_the_width_has_become() {
        let mut board = Board::new();
        assert_eq!(board.above("hello", 80), "hello\n");
        let lines = || vec!["a".repeat(60), "b".repeat(40)];
        assert_eq!(board.draw(lines(), 80), lines().join("\n"));
        assert_eq!(board.above("hello", 80), format!("\r\u{1b}[1A\u{1b}[Jhello\n{}", lines().join("\n")));
        // At 30 columns the two lines take four rows.
        assert_eq!(board.draw(vec!["c".to_owned()], 30), "\r\u{1b}[3A\u{1b}[Jc");
        assert_eq!(board.draw(Vec::new(), 30), "\r\u{1b}[J");
        assert_eq!(board.draw(Vec::new(), 30), "");
    }
}
