//! Faults of policies as people, pipelines and programs want them.

use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::build_info::{BUILD, NAME};
use crate::policy::{Fault, FaultCode, Severity};

/// How faults are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum FaultFormat {
    /// One line a fault; on a terminal with the line of the file
    #[default]
    Text,
    /// One JSON object
    Json,
    /// Annotations of GitHub Actions
    Github,
    /// SARIF 2.1.0, as code scanning reads it
    Sarif,
}

/// Whether the lines that faults point at are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excerpts {
    /// They are.
    Shown,
    /// They are not.
    Hidden,
}

/// A file that was looked at.
#[derive(Debug)]
pub struct Checked {
    /// Its name as given.
    pub file: String,
    /// Its text, for excerpts.
    pub text: String,
    /// What was found in it, one for each policy.
    pub verdicts: Vec<Verdict>,
}

/// What was found of one policy.
#[derive(Debug)]
pub enum Verdict {
    /// It is good.
    Good {
        /// The key of the ConfigMap that holds it.
        key: Option<String>,
        /// Its name.
        name: String,
        /// Its hash.
        hash: String,
        /// What its author should look at.
        warnings: Vec<Fault>,
    },
    /// It is not.
    Faulty(Vec<Fault>),
    /// The file could not be read.
    Unreadable(String),
}

/// Writes what was found.
///
/// # Errors
/// The output cannot be written.
pub fn write(out: &mut dyn Write, files: &[Checked], format: FaultFormat, excerpts: Excerpts) -> io::Result<()> {
    match format {
        FaultFormat::Text => write_text(out, files, excerpts),
        FaultFormat::Json => write_json(out, &as_json(files)),
        FaultFormat::Github => write_github(out, files),
        FaultFormat::Sarif => write_json(out, &as_sarif(files)),
    }
}

/// Writes faults as text.
///
/// # Errors
/// The output cannot be written.
pub fn write_faults<'a>(
    out: &mut dyn Write,
    faults: impl IntoIterator<Item = &'a Fault>,
    text: &str,
    excerpts: Excerpts,
) -> io::Result<()> {
    for fault in faults {
        writeln!(out, "{fault}")?;
        if let (Excerpts::Shown, Some(excerpt)) = (excerpts, excerpt(fault, text)) {
            writeln!(out, "{excerpt}")?;
        }
    }
    Ok(())
}

/// Writes a value as JSON that people can read as well.
///
/// # Errors
/// The output cannot be written.
pub fn write_json(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    writeln!(out, "{value:#}")
}

impl Checked {
    fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.verdicts.iter().flat_map(|verdict| match verdict {
            Verdict::Good { warnings, .. } => warnings.as_slice(),
            Verdict::Faulty(faults) => faults.as_slice(),
            Verdict::Unreadable(_) => &[],
        })
    }
}

fn write_text(out: &mut dyn Write, files: &[Checked], excerpts: Excerpts) -> io::Result<()> {
    for file in files {
        for verdict in &file.verdicts {
            match verdict {
                Verdict::Good { key, name, hash, warnings } => {
                    write_faults(out, warnings, &file.text, excerpts)?;
                    let key = key.as_ref().map(|key| format!(" data.{key}:")).unwrap_or_default();
                    writeln!(out, "{}:{key} ok: {name}, hash {hash}", file.file)?;
                }
                Verdict::Faulty(faults) => write_faults(out, faults, &file.text, excerpts)?,
                Verdict::Unreadable(reason) => writeln!(out, "{}: cannot be read: {reason}", file.file)?,
            }
        }
    }
    Ok(())
}

/// The line with the fault, and a mark below it. Lines that may hold a secret are not shown.
fn excerpt(fault: &Fault, text: &str) -> Option<String> {
    let span = fault.span?;
    let line = text.lines().nth(usize::try_from(span.line).ok()?.checked_sub(1)?)?;
    let lower = line.to_lowercase();
    if ["password", "passwd", "secret", "token", "apikey", "md5"].iter().any(|word| lower.contains(word)) {
        return None;
    }
    let before = usize::try_from(span.column).ok()?.checked_sub(1)?;
    let length = match span.end_line == span.line {
        true => span.end_column.saturating_sub(span.column).max(1),
        false => 1,
    };
    let most = line.chars().count().saturating_sub(before).max(1);
    let marks = "^".repeat(usize::try_from(length).unwrap_or(1).min(most));
    let number = span.line.to_string();
    let margin = " ".repeat(number.len());
    let indent: String = line.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    Some(format!("{margin} |\n{number} | {line}\n{margin} | {indent}{marks}"))
}

fn as_json(files: &[Checked]) -> Value {
    let verdicts: Vec<Value> = files
        .iter()
        .flat_map(|file| file.verdicts.iter().map(move |verdict| (file, verdict)))
        .map(|(file, verdict)| match verdict {
            Verdict::Good { key, name, hash, warnings } => {
                let mut object = json!({"file": file.file, "ok": true, "name": name, "hash": hash, "faults": warnings});
                if let Some(key) = key {
                    object["key"] = json!(key);
                }
                object
            }
            Verdict::Faulty(faults) => json!({"file": file.file, "ok": false, "faults": faults}),
            Verdict::Unreadable(reason) => json!({"file": file.file, "ok": false, "error": reason, "faults": []}),
        })
        .collect();
    json!({"policies": verdicts})
}

fn write_github(out: &mut dyn Write, files: &[Checked]) -> io::Result<()> {
    for file in files {
        for fault in file.faults() {
            let level = match fault.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let mut properties = format!("file={}", property(&fault.file));
            if let Some(span) = fault.span {
                properties.push_str(&format!(
                    ",line={},col={},endLine={},endColumn={}",
                    span.line, span.column, span.end_line, span.end_column
                ));
            }
            let title = property(fault.code.as_str());
            let text = data(&format!("{}: {}", crate::policy::Pointer::new(fault.pointer.as_str()), fault.message()));
            writeln!(out, "::{level} {properties},title={title}::{text}")?;
        }
        for verdict in &file.verdicts {
            if let Verdict::Unreadable(reason) = verdict {
                writeln!(out, "::error file={}::{}", property(&file.file), data(&format!("cannot be read: {reason}")))?;
            }
        }
    }
    Ok(())
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

fn as_sarif(files: &[Checked]) -> Value {
    let rules: Vec<Value> = FaultCode::ALL
        .iter()
        .map(|code| json!({"id": code.as_str(), "shortDescription": {"text": code.description()}}))
        .collect();
    let results: Vec<Value> = files.iter().flat_map(Checked::faults).map(sarif_result).collect();
    let unreadable: Vec<Value> = files
        .iter()
        .flat_map(|file| file.verdicts.iter().map(move |verdict| (file, verdict)))
        .filter_map(|(file, verdict)| match verdict {
            Verdict::Unreadable(reason) => {
                Some(json!({"level": "error", "message": {"text": format!("{}: cannot be read: {reason}", file.file)}}))
            }
            Verdict::Good { .. } | Verdict::Faulty(_) => None,
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": NAME, "version": BUILD.version, "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "invocations": [{"executionSuccessful": unreadable.is_empty(), "toolExecutionNotifications": unreadable}],
            "results": results
        }]
    })
}

fn sarif_result(fault: &Fault) -> Value {
    let mut location = json!({"artifactLocation": {"uri": fault.file}});
    if let Some(span) = fault.span {
        location["region"] = json!({
            "startLine": span.line,
            "startColumn": span.column,
            "endLine": span.end_line,
            "endColumn": span.end_column
        });
    }
    json!({
        "ruleId": fault.code.as_str(),
        "level": match fault.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": {"text": fault.message()},
        "locations": [{
            "physicalLocation": location,
            "logicalLocations": [{"fullyQualifiedName": fault.pointer}]
        }]
    })
}
