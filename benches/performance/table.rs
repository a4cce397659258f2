//! What was measured, beside what it may be.

use std::fmt;
use std::time::Duration;

/// One part of what is printed.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    header: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    cells: Vec<String>,
    verdict: Verdict,
}

/// What a row says of its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is kept.
    Kept,
    /// It is exceeded.
    Over,
    /// There is none.
    Shown,
}

impl Verdict {
    /// Of a count, which is the same in every build.
    pub(crate) fn of(measured: u64, budget: u64) -> Self {
        if measured <= budget { Self::Kept } else { Self::Over }
    }

    /// Of a time, a size or a ratio of those, which mean something in a release build only.
    pub(crate) fn of_release(measured: f64, budget: f64) -> Self {
        match (cfg!(debug_assertions), measured <= budget) {
            (true, _) => Self::Shown,
            (false, true) => Self::Kept,
            (false, false) => Self::Over,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "ok",
            Self::Over => "OVER",
            Self::Shown => "",
        }
    }
}

impl Table {
    /// A table of measured values, each with its budget.
    pub(crate) fn budgets(title: impl Into<String>) -> Self {
        Self::new(title, &["", "budget", "measured"])
    }

    /// A table with these columns; verdicts are a column more.
    pub(crate) fn new(title: impl Into<String>, header: &[&str]) -> Self {
        Self { title: title.into(), header: header.iter().map(|&cell| cell.to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row of any kind.
    pub(crate) fn row(&mut self, cells: Vec<String>, verdict: Verdict) {
        self.rows.push(Row { cells, verdict });
    }

    /// Adds a count.
    pub(crate) fn count(&mut self, what: impl Into<String>, budget: u64, measured: u64) {
        self.row(vec![what.into(), budget.to_string(), measured.to_string()], Verdict::of(measured, budget));
    }

    /// Adds a time.
    pub(crate) fn time(&mut self, what: impl Into<String>, budget: Duration, measured: Duration) {
        let verdict = Verdict::of_release(measured.as_secs_f64(), budget.as_secs_f64());
        self.row(vec![what.into(), time(budget), time(measured)], verdict);
    }

    /// Adds something without a budget.
    pub(crate) fn shown(&mut self, what: impl Into<String>, measured: impl Into<String>) {
        self.row(vec![what.into(), "-".to_owned(), measured.into()], Verdict::Shown);
    }

    /// The rows that exceed their budgets.
    pub(crate) fn exceeded(&self) -> impl Iterator<Item = &[String]> {
        self.rows.iter().filter(|row| row.verdict == Verdict::Over).map(|row| row.cells.as_slice())
    }
}

/// A time in the unit that suits it.
pub(crate) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 1e-6 => format!("{:.0} ns", s * 1e9),
        s if s < 1e-3 => format!("{:.2} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}

/// A size in MiB.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes_in_mebibytes(bytes))
}

fn bytes_in_mebibytes(bytes: u64) -> f64 {
    Duration::from_micros(bytes).as_secs_f64() * 1e6 / (1024.0 * 1024.0)
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| &row.cells).chain([&self.header]);
            cells.filter_map(|cells| cells.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        writeln!(f, "{}", self.title)?;
        let head = Row { cells: self.header.clone(), verdict: Verdict::Shown };
        for row in std::iter::once(&head).chain(&self.rows) {
            let mut line = String::from(" ");
            for (column, (cell, width)) in row.cells.iter().zip(&widths).enumerate() {
                match column {
                    0 => line += &format!(" {cell:width$}"),
                    _ => line += &format!("  {cell:>width$}"),
                }
            }
            line += &format!("  {}", row.verdict.as_str());
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
